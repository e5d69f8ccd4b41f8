import { describe, expect, it } from 'vitest';
import { RateLimit } from './rate.ts';

describe('RateLimit', () => {
  it('lets so many begin in a minute, says when to come back, and begins anew with the next', () => {
    let now = 0;
    const rate = new RateLimit(() => now);
    expect([rate.begin(2), rate.begin(2)]).toEqual([{ ok: true }, { ok: true }]);
    now = 20_000;
    expect(rate.begin(2)).toEqual({ ok: false, refusedBefore: 0, retryAfterMs: 40_000 });
    expect(rate.begin(2)).toEqual({ ok: false, refusedBefore: 1, retryAfterMs: 40_000 });
    now = 60_000;
    expect(rate.begin(2)).toEqual({ ok: true });
  });
});
