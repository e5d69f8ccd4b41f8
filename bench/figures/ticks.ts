/* A guest's count of milliseconds as it arrives on the host, and what it tells of the time between. Pure. */

export type Arrival = { tick: number; atMs: number };

/** Takes the stream apart into numbers; the last line of a chunk may be half. */
export class TickReader {
  readonly arrivals: Arrival[] = [];
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
    const newest = lines.at(-1);
    if (newest === undefined || !/^\d+$/.test(newest)) return;
    this.arrivals.push({ tick: Number(newest), atMs });
    this.#arrived();
  }
}

/** Ticks that come this much later than the quickest say nothing about when they were written. */
const ARRIVALS_MIN = 3;

/**
 * For how long the guest's clock stood still between two moments, in milliseconds. Each arrival is late by the way out of the guest;
 * the least late before and the least late after differ by the time the guest did not count.
 *
 * @throws when too few ticks came on either side to know
 */
export function frozenFor(arrivals: readonly Arrival[], startedAt: number, endedAt: number): number {
  const lateness = (from: number, to: number) => {
    const within = arrivals.filter(({ atMs }) => atMs >= from && atMs < to).map(({ tick, atMs }) => atMs - tick);
    if (within.length < ARRIVALS_MIN) throw new Error(`only ${within.length} ticks came out of the guest`);
    return Math.min(...within);
  };
  return Math.max(0, lateness(endedAt, Number.POSITIVE_INFINITY) - lateness(Number.NEGATIVE_INFINITY, startedAt));
}
