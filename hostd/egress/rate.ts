const WINDOW_MS = 60_000;

/** Counts what begins in each minute and says whether it may. */
export class RateLimit {
  readonly #now: () => number;
  #windowAt = Number.NEGATIVE_INFINITY;
  #begun = 0;
  #refused = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * @returns whether it may begin, and for one that may not, how many before it in this minute could not either: only the first
   * of them is worth a line
   */
  begin(max: number): { ok: true } | { ok: false; refusedBefore: number; retryAfterMs: number } {
    const now = this.#now();
    if (now - this.#windowAt >= WINDOW_MS) {
      this.#windowAt = now;
      this.#begun = 0;
      this.#refused = 0;
    }
    this.#begun += 1;
    if (this.#begun <= max) return { ok: true };
    this.#refused += 1;
    return { ok: false, refusedBefore: this.#refused - 1, retryAfterMs: this.#windowAt + WINDOW_MS - now };
  }
}
