import type { ListedObject, ObjectStore, Range } from '../object-store.ts';
import { StoreFailure } from '../object-store.ts';

/** What goes wrong with one request. `lost`: it is done and the answer does not arrive. `short`: half of the bytes arrive. */
export type Fault = 'none' | 'refused' | 'lost' | 'short' | 'late' | 'dead';

/** A store whose requests go wrong as told. After `dead` nothing is done any more: whoever used it was killed there. */
export class FaultyStore implements ObjectStore {
  readonly location = 'a store with faults';
  readonly #store: ObjectStore;
  readonly #next: (verb: string, key: string) => Fault;
  #dead = false;
  requests = 0;

  constructor(store: ObjectStore, next: (verb: string, key: string) => Fault) {
    this.#store = store;
    this.#next = next;
  }

  put(key: string, bytes: Uint8Array): Promise<void> {
    return this.#do('put', key, () => this.#store.put(key, bytes));
  }

  get(key: string, range?: Range): Promise<Buffer> {
    return this.#do('get', key, () => this.#store.get(key, range));
  }

  size(key: string): Promise<number | null> {
    return this.#do('size', key, () => this.#store.size(key));
  }

  async *list(prefix: string): AsyncIterable<ListedObject> {
    const objects = await this.#do('list', prefix, async () => {
      const all: ListedObject[] = [];
      for await (const object of this.#store.list(prefix)) all.push(object);
      return all;
    });
    yield* objects;
  }

  remove(key: string): Promise<void> {
    return this.#do('remove', key, () => this.#store.remove(key));
  }

  async #do<T>(verb: string, key: string, request: () => Promise<T>): Promise<T> {
    this.requests += 1;
    const fault = this.#next(verb, key);
    if (fault === 'dead') this.#dead = true;
    if (this.#dead) throw new StoreFailure('killed', { retryable: false });
    if (fault === 'refused') throw new StoreFailure('503 slow down', { retryable: true });
    // Others go first, as behind a slow connection.
    if (fault === 'late') for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    const value = await request();
    if (fault === 'lost') throw new StoreFailure('the connection broke', { retryable: true });
    if (fault === 'short' && Buffer.isBuffer(value)) throw new StoreFailure('fewer bytes than asked for', { retryable: true });
    return value;
  }
}
