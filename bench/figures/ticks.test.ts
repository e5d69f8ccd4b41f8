import { describe, expect, it } from 'vitest';
import { frozenFor, TickReader } from './ticks.ts';

/** A guest whose clock starts at 0 and stands still from `at` for `frozenMs`, and whose ticks take a while to arrive. */
function readerOf(at: number, frozenMs: number, delay: (tick: number) => number, ticksPerArrival = 1) {
  const ticks = Array.from({ length: 200 }, (_, index) => index * 20);
  const arrivals = ticks
    .filter((_, index) => index % ticksPerArrival === 0)
    .map((tick) => ({ tick, atMs: tick + (tick > at ? frozenMs : 0) + delay(tick) }));
  return { ticks, arrivals };
}
const jitter = (tick: number) => 5 + ((tick * 7) % 60);

describe('time that a guest stood still', () => {
  it.each([0, 1, 12, 3_000])('%d ms of its clock are found whatever single ticks are late by', (frozenMs) => {
    expect(frozenFor(readerOf(2_000, frozenMs, jitter), 2_000, 2_100 + frozenMs)).toBeCloseTo(frozenMs, 5);
  });

  it('is found when its clock went on and its program did not', () => {
    const { ticks, arrivals } = readerOf(2_000, 0, jitter, 5);
    const without = { arrivals, ticks: ticks.filter((tick) => tick <= 2_100 || tick >= 2_500) };
    expect(frozenFor(without, 2_000, 3_000)).toBeCloseTo(380, 5);
    // As long as before, it is nothing that was done to it.
    const always = { arrivals, ticks: without.ticks.filter((tick) => tick <= 500 || tick >= 900) };
    expect(frozenFor(always, 2_000, 3_000)).toBe(0);
  });

  it('is not guessed from a handful of ticks', () => {
    const few = readerOf(2_000, 50, () => 5);
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
      ['26.125\n', 50],
    ] as const)
      reader.take(Buffer.from(text), at);
    await reader.first;
    expect(reader.arrivals).toEqual([
      { tick: 1, atMs: 10 },
      { tick: 24, atMs: 20 },
      { tick: 25, atMs: 40 },
      { tick: 26.125, atMs: 50 },
    ]);
    expect(reader.ticks).toEqual([0, 1, 23, 24, 25, 26.125]);
  });
});
