import { HASH_BYTES } from './format.ts';

const WAYS = 8;
const DEFAULT_CAPACITY = 2 ** 20;

/** Where a page lies: a pack by its number in a PackTable, and the page's place in it. */
export type Place = { pack: number; slot: number };

/**
 * Finds a page that is stored already by its hash. Of fixed size: 26 MiB for a million pages (4 GiB of different ones). When
 * it is full, older entries make room; what is forgotten is stored a second time, never lost.
 */
export class PageIndex {
  readonly #hashes: Buffer;
  /** Four bytes of each hash, looked at before all of them. */
  readonly #tags: Uint32Array;
  readonly #packs: Int32Array;
  readonly #slots: Uint16Array;
  readonly #buckets: number;
  #turn = 0;

  /** @param capacity pages, a power of two */
  constructor(capacity = DEFAULT_CAPACITY) {
    this.#buckets = capacity / WAYS;
    this.#hashes = Buffer.alloc(capacity * HASH_BYTES);
    this.#tags = new Uint32Array(capacity);
    this.#packs = new Int32Array(capacity).fill(-1);
    this.#slots = new Uint16Array(capacity);
  }

  find(hash: Buffer): Place | null {
    const first = this.#bucketOf(hash);
    for (let entry = first; entry < first + WAYS; entry += 1) {
      if (this.#holds(entry, hash)) return { pack: this.#packs[entry]!, slot: this.#slots[entry]! };
    }
    return null;
  }

  add(hash: Buffer, { pack, slot }: Place): void {
    const first = this.#bucketOf(hash);
    let entry = first + (this.#turn++ % WAYS);
    for (let candidate = first; candidate < first + WAYS; candidate += 1) {
      if (this.#packs[candidate] === -1 || this.#holds(candidate, hash)) {
        entry = candidate;
        break;
      }
    }
    hash.copy(this.#hashes, entry * HASH_BYTES);
    this.#tags[entry] = hash.readUInt32LE(4);
    this.#packs[entry] = pack;
    this.#slots[entry] = slot;
  }

  /** Drops every page of packs that must not be referred to any more. */
  forget(isGone: (pack: number) => boolean): void {
    for (let entry = 0; entry < this.#packs.length; entry += 1) {
      const pack = this.#packs[entry]!;
      if (pack !== -1 && isGone(pack)) this.#packs[entry] = -1;
    }
  }

  #bucketOf(hash: Buffer): number {
    return (hash.readUInt32LE(0) % this.#buckets) * WAYS;
  }

  #holds(entry: number, hash: Buffer): boolean {
    if (this.#packs[entry] === -1 || this.#tags[entry] !== hash.readUInt32LE(4)) return false;
    return hash.compare(this.#hashes, entry * HASH_BYTES, (entry + 1) * HASH_BYTES) === 0;
  }
}
