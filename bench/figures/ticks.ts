/* A guest's clock (milliseconds) as it arrives on the host, and what it tells of the time between. Pure. */

export type Arrival = { tick: number; atMs: number };

/** Takes the stream apart into numbers; the last line of a chunk may be half. */
export class TickReader {
  readonly arrivals: Arrival[] = [];
  /** Every one, also those that came together. */
  readonly ticks: number[] = [];
  readonly first: Promise<void>;
  #arrived: () => void = () => {};
  #rest = '';

  constructor() {
    this.first = new Promise((resolve) => {
      this.#arrived = resolve;
    });
  }

  take(bytes: Buffer, atMs: number): void {
    const lines = (this.#rest + bytes.toString('latin1')).split('\n');
    this.#rest = lines.pop() ?? '';
    // Of what comes together, the last was written last: it was on its way for the shortest time.
    const read = lines.filter((line) => /^\d+(\.\d+)?$/.test(line)).map(Number);
    const newest = read.at(-1);
    if (newest === undefined) return;
    this.ticks.push(...read);
    this.arrivals.push({ tick: newest, atMs });
    this.#arrived();
  }
}

/** Ticks that come this much later than the quickest say nothing about when they were written. */
const ARRIVALS_MIN = 3;

/**
 * For how long the guest stood still between two moments, in milliseconds.
 *
 * Its clock: each arrival is late by the way out of the guest; the least late before and the least late after differ by the time
 * that the clock did not count. And its program: the longest pause between two ticks by that clock, beyond the longest before.
 *
 * @throws when too few ticks came on either side to know
 */
export function frozenFor(
  { arrivals, ticks }: Pick<TickReader, 'arrivals' | 'ticks'>,
  startedAt: number,
  endedAt: number,
): number {
  const lateness = (from: number, to: number) => {
    const within = arrivals.filter(({ atMs }) => atMs >= from && atMs < to).map(({ tick, atMs }) => atMs - tick);
    if (within.length < ARRIVALS_MIN) throw new Error(`only ${within.length} ticks came out of the guest`);
    return Math.min(...within);
  };
  const before = lateness(Number.NEGATIVE_INFINITY, startedAt);
  const uncounted = Math.max(0, lateness(endedAt, Number.POSITIVE_INFINITY) - before);
  const longestPause = (from: number, to: number) =>
    ticks.reduce((longest, tick, at) => (tick >= from && tick < to ? Math.max(longest, tick - ticks[at - 1]!) : longest), 0);
  const [first] = ticks as [number];
  // Host's time by the guest's clock, as it was before.
  const pausedMs = longestPause(startedAt - before, endedAt - before) - longestPause(first + 1e-9, startedAt - before);
  return uncounted + Math.max(0, pausedMs);
}
