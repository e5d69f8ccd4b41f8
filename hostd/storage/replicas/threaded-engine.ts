import { Worker } from 'node:worker_threads';
import type { StoreKey } from '../chunks/keys.ts';
import { StoreFailure } from '../chunks/object-store.ts';
import type { Progress } from '../chunks/store-layer.ts';
import type { Engine } from './engine.ts';
import { type Answer, type Call, type EngineThreadData, fromWire } from './engine-thread.ts';
import { openStore, type StoreLocation } from './open-store.ts';

type Pending = { resolve: (value: unknown) => void; reject: (error: Error) => void; onProgress: (progress: Progress) => void };

/** The engine in a thread that is started with the first request and again after it died. */
export class ThreadedEngine implements Engine {
  readonly #data: EngineThreadData;
  readonly #pending = new Map<number, Pending>();
  #thread: Worker | null = null;
  #calls = 0;

  constructor(data: EngineThreadData) {
    this.#data = data;
  }

  store(key: StoreKey, source: Parameters<Engine['store']>[1], onProgress: (progress: Progress) => void) {
    return this.#call('store', [key, source], onProgress) as ReturnType<Engine['store']>;
  }

  find(...args: Parameters<Engine['find']>) {
    return this.#call('find', args) as ReturnType<Engine['find']>;
  }

  restore(...args: Parameters<Engine['restore']>) {
    return this.#call('restore', args) as ReturnType<Engine['restore']>;
  }

  isWhole(...args: Parameters<Engine['isWhole']>) {
    return this.#call('isWhole', args) as ReturnType<Engine['isWhole']>;
  }

  removeRef(...args: Parameters<Engine['removeRef']>) {
    return this.#call('removeRef', args) as ReturnType<Engine['removeRef']>;
  }

  collect(...args: Parameters<Engine['collect']>) {
    return this.#call('collect', args) as ReturnType<Engine['collect']>;
  }

  /** Requests under way fail. Nothing they wrote is taken for whole. */
  async close(): Promise<void> {
    await this.#thread?.terminate();
  }

  #call(verb: keyof Engine, args: unknown[], onProgress: (progress: Progress) => void = () => {}): Promise<unknown> {
    const thread = this.#start();
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, onProgress });
      thread.postMessage({ id, verb, args } satisfies Call);
    });
  }

  #start(): Worker {
    if (this.#thread) return this.#thread;
    const thread = new Worker(new URL('./engine-thread.ts', import.meta.url), { workerData: this.#data });
    // hostd may end while a copy is being made: the next one goes on with it.
    thread.unref();
    thread.on('message', (answer: Answer) => this.#settle(answer));
    const lost = (reason: string) => {
      if (this.#thread !== thread) return;
      this.#thread = null;
      const failed = [...this.#pending.values()];
      this.#pending.clear();
      for (const { reject } of failed) reject(new StoreFailure(reason, { retryable: true }));
    };
    thread.once('error', (error) => lost(`the storage thread died: ${error.message}`));
    thread.once('exit', () => lost('the storage thread ended'));
    this.#thread = thread;
    return thread;
  }

  #settle(answer: Answer): void {
    const pending = this.#pending.get(answer.id);
    if (!pending) return;
    if (answer.kind === 'progress') return void pending.onProgress(answer.progress as Progress);
    this.#pending.delete(answer.id);
    if (answer.kind === 'value') pending.resolve(answer.value);
    else pending.reject(fromWire(answer.error));
  }
}

/** What hostd is started with: nothing when no store is set. */
export async function openObjectStore(
  location: StoreLocation | null,
  cacheDir: string,
): Promise<{ objectStore?: { location: string; engine: Engine } }> {
  if (location === null) return {};
  const { location: name } = await openStore(location);
  return { objectStore: { location: name, engine: new ThreadedEngine({ location, cacheDir }) } };
}
