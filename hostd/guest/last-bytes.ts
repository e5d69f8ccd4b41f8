/** Keeps the last `max` bytes of a stream in at most twice that memory. */
export class LastBytes {
  readonly #max: number;
  #chunks: Buffer[] = [];
  #kept = 0;
  #seen = 0;

  constructor(max: number) {
    this.#max = max;
  }

  add(chunk: Buffer): void {
    this.#seen += chunk.length;
    this.#chunks.push(chunk);
    this.#kept += chunk.length;
    if (this.#kept > 2 * this.#max || this.#chunks.length > 1024) this.#compact();
  }

  #compact(): void {
    const kept = Buffer.concat(this.#chunks).subarray(-this.#max);
    this.#chunks = [Buffer.from(kept)];
    this.#kept = kept.length;
  }

  get truncated(): boolean {
    return this.#seen > this.#max;
  }

  /** UTF-8; a character cut by the cap or by the guest becomes U+FFFD. */
  toString(): string {
    return Buffer.concat(this.#chunks).subarray(-this.#max).toString('utf8');
  }
}
