import { describe, expect, it } from 'vitest';
import { frozenFor, TickReader } from './ticks.ts';

/** A guest that counts milliseconds from 0, stands still from `at` for `frozenMs`, and whose ticks take a while to arrive. */
function arrivals(at: number, frozenMs: number, delay: (tick: number) => number) {
  return Array.from({ length: 200 }, (_, index) => {
    const tick = index * 20;
    return { tick, atMs: tick + (tick > at ? frozenMs : 0) + delay(tick) };
  });
}

describe('time that a guest did not count', () => {
  it.each([0, 1, 12, 3_000])('%d ms are found whatever single ticks are late by', (frozenMs) => {
    const jitter = (tick: number) => 5 + ((tick * 7) % 60);
    expect(frozenFor(arrivals(2_000, frozenMs, jitter), 2_000, 2_100 + frozenMs)).toBeCloseTo(frozenMs, 5);
  });

  it('is not guessed from a handful of ticks', () => {
    const few = arrivals(2_000, 50, () => 5);
    expect(() => frozenFor(few, 2_000, 1e9)).toThrow('only 0 ticks');
    expect(() => frozenFor(few, -1, 2_000)).toThrow('only 0 ticks');
  });
});

describe('the stream of ticks', () => {
  it('is read across chunks that end anywhere, keeping the newest of each', async () => {
    const reader = new TickReader();
    for (const [text, at] of [
      ['0\n1\n2', 10],
      ['3\n24\n', 20],
      ['2', 30],
      ['5\nnonsense\n', 40],
      ['26\n', 50],
    ] as const)
      reader.take(Buffer.from(text), at);
    await reader.first;
    expect(reader.arrivals).toEqual([
      { tick: 1, atMs: 10 },
      { tick: 24, atMs: 20 },
      { tick: 26, atMs: 50 },
    ]);
  });
});
