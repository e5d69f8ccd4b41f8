import { type ListedObject, ObjectMissing, type ObjectStore, type Range, requireLength } from '../object-store.ts';

/** Objects in memory, with a clock that tests move. */
export class MemoryStore implements ObjectStore {
  readonly location = 'memory';
  readonly objects = new Map<string, { bytes: Buffer; modifiedAtMs: number }>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    this.objects.set(key, { bytes: Buffer.from(bytes), modifiedAtMs: this.#now() });
  }

  async get(key: string, range?: Range): Promise<Buffer> {
    const found = this.objects.get(key);
    if (!found) throw new ObjectMissing(key);
    if (!range) return Buffer.from(found.bytes);
    const part = Buffer.from(found.bytes.subarray(range.offset, range.offset + range.length));
    return requireLength(key, part, range.length);
  }

  async size(key: string): Promise<number | null> {
    return this.objects.get(key)?.bytes.length ?? null;
  }

  async *list(prefix: string): AsyncIterable<ListedObject> {
    for (const [key, { bytes, modifiedAtMs }] of [...this.objects])
      if (key.startsWith(prefix)) yield { key, bytes: bytes.length, modifiedAtMs };
  }

  async remove(key: string): Promise<void> {
    this.objects.delete(key);
  }
}
