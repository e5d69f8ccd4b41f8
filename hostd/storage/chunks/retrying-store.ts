import { type ListedObject, ObjectMissing, type ObjectStore, type Range, StoreFailure } from './object-store.ts';

export type RetryPolicy = {
  attempts: number;
  /** Milliseconds; the wait before try n is drawn between 0 and `baseMs * 2^n`, at most `capMs`. */
  baseMs: number;
  capMs: number;
};

/** About two minutes altogether, which outlasts a server's restart. */
export const DEFAULT_RETRY: RetryPolicy = { attempts: 10, baseMs: 100, capMs: 20_000 };

export type RetryEffects = {
  wait: (ms: number) => Promise<void>;
  /** From 0 to below 1. */
  random: () => number;
};

/** Full jitter: many hosts that lost the same server do not come back in step. */
export function decideWait(attempt: number, policy: RetryPolicy, random: number): number {
  return Math.floor(random * Math.min(policy.capMs, policy.baseMs * 2 ** attempt));
}

/** Asks again where that may help. Every verb is idempotent, so a request whose answer was lost may be repeated. */
export class RetryingStore implements ObjectStore {
  readonly location: string;
  readonly #store: ObjectStore;
  readonly #policy: RetryPolicy;
  readonly #effects: RetryEffects;

  constructor(store: ObjectStore, policy: RetryPolicy = DEFAULT_RETRY, effects: RetryEffects = REAL) {
    this.location = store.location;
    this.#store = store;
    this.#policy = policy;
    this.#effects = effects;
  }

  put(key: string, bytes: Uint8Array): Promise<void> {
    return this.#again(() => this.#store.put(key, bytes));
  }

  get(key: string, range?: Range): Promise<Buffer> {
    return this.#again(() => this.#store.get(key, range));
  }

  size(key: string): Promise<number | null> {
    return this.#again(() => this.#store.size(key));
  }

  /** Read whole before the first is given out: a listing that broke off is begun again, and nothing is told twice. */
  async *list(prefix: string): AsyncIterable<ListedObject> {
    const all = await this.#again(async () => {
      const objects: ListedObject[] = [];
      for await (const object of this.#store.list(prefix)) objects.push(object);
      return objects;
    });
    yield* all;
  }

  remove(key: string): Promise<void> {
    return this.#again(() => this.#store.remove(key));
  }

  async #again<T>(request: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await request();
      } catch (error) {
        const helps = error instanceof StoreFailure && error.retryable && attempt + 1 < this.#policy.attempts;
        if (!helps || error instanceof ObjectMissing) throw error;
        await this.#effects.wait(decideWait(attempt, this.#policy, this.#effects.random()));
      }
    }
  }
}

const REAL: RetryEffects = {
  wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  random: Math.random,
};
