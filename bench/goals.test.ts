import { describe, expect, it } from 'vitest';
import { type FigureKey, GOALS, judge, nest } from './goals.ts';

describe('goals', () => {
  it.each([
    ['resume.timesFasterThanLoadvm', 39.9, 'missed'],
    ['resume.timesFasterThanLoadvm', 40, 'must'],
    ['resume.timesFasterThanLoadvm', 100, 'aim'],
    ['resume.growth512MiBTo4GiB', 1.6, 'missed'],
    ['resume.growth512MiBTo4GiB', 1.5, 'must'],
    ['resume.growth512MiBTo4GiB', 1.1, 'aim'],
    ['soak.mismatches', 1, 'missed'],
    ['soak.mismatches', 0, 'aim'],
    ['soak.hangs', null, 'not measured'],
    ['soak.hangs', Number.NaN, 'not measured'],
  ] as const)('%s at %d is %s', (key, value, verdict) => expect(judge(key, value)).toBe(verdict));

  it('aim at least as high as they must', () => {
    for (const [key, { better, must, aim }] of Object.entries(GOALS)) {
      expect(judge(key as FigureKey, aim)).toBe('aim');
      expect(better === 'more' ? aim >= must : aim <= must).toBe(true);
    }
  });

  it('are nested in the JSON line under the names of the issue', () => {
    expect(nest({ 'soak.hangs': 0, 'soak.cycles': 5, 'storage.fleetVsBest': null })).toEqual({
      soak: { hangs: 0, cycles: 5 },
      storage: { fleetVsBest: null },
    });
  });
});
