import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findBanner, parseCarriedBanner } from './banner.ts';

const BANNER = 'SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7\r\n';

describe('findBanner', () => {
  it.each([
    ['nothing', '', -1],
    ['half a line', 'SSH-2.0-Open', -1],
    ['the line alone', BANNER, 0],
    ['the line after noise without a line end', `\x01\xff noise${BANNER}rest`, 8],
    ['the last of two', BANNER + BANNER, BANNER.length],
    ['a complete line before a half one', `${BANNER}SSH-2.0-x`, 0],
    ['control characters', 'SSH-2.0-\x07\r\n', -1],
    ['a line that is too long', `SSH-2.0-${'x'.repeat(300)}\r\n`, -1],
  ])('%s', (_name, text, at) => {
    expect(findBanner(Buffer.from(text, 'latin1'))).toBe(at);
  });

  it('finds the line whatever came before it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (noise) => {
        expect(findBanner(Buffer.concat([noise, Buffer.from(BANNER)]))).toBe(noise.length);
      }),
    );
  });
});

describe('parseCarriedBanner', () => {
  it('takes exactly one line', () => {
    expect(parseCarriedBanner(BANNER)?.toString()).toBe(BANNER);
    for (const bad of [null, '', 'x', `${BANNER}x`, BANNER + BANNER, `x${BANNER}`, BANNER.trimEnd(), 'x'.repeat(5000)]) {
      expect(parseCarriedBanner(bad)).toBeNull();
    }
  });
});
