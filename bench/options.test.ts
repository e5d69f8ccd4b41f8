import { describe, expect, it } from 'vitest';
import { FIGURES, readOptions } from './options.ts';

describe('options', () => {
  it('measure everything unless told otherwise', () => {
    expect(readOptions(['machines'])).toMatchObject({
      figures: FIGURES,
      pairs: 8,
      json: false,
      peers: ['loadvm', 'libvirt', 'coldBoot'],
    });
  });

  it('measure less when it has to be quick, and what is asked for in any case', () => {
    expect(readOptions(['machines', '--quick'])).toMatchObject({ figures: ['resume', 'fork'], pairs: 3 });
    expect(readOptions(['machines', '--quick', '--only', 'soak', '--pairs', '5'])).toMatchObject({ figures: ['soak'], pairs: 5 });
    expect(readOptions(['machines', '--peers', ''])).toMatchObject({ peers: [] });
  });

  it('soak only soaks', () => {
    expect(readOptions(['soak', '--cycles', '1000'])).toMatchObject({ figures: ['soak'], cycles: 1000 });
  });

  it.each([[[]], [['nonsense']], [['machines', 'soak']], [['machines', '--pairs', '0']], [['machines', '--only', 'speed']]])(
    'are refused with the help: %j',
    (argv) => expect(() => readOptions(argv)).toThrow('npm run bench'),
  );

  it('that do not exist are refused', () => expect(() => readOptions(['machines', '--fast'])).toThrow('--fast'));
});
