import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Copied, Source } from './changed-memory.ts';
import type { Outcome, Task } from './copy-thread.ts';

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;
type What = Omit<Source, 'part'>;

/** Changed memory that is taken in two steps: `grab` while the machine stands still, `store` when it runs again. */
export type Grab = {
  grab(): Promise<void>;
  store(): Promise<Copied>;
  /** Gives everything back. Never rejects, and may be called at any time. */
  close(): Promise<void>;
};

/** More would wait for the same memory. */
const THREADS_MAX = 2;

/**
 * The threads that copy memory, a few for all machines: starting one costs more than most copies. All rejections carry the
 * system's error code, such as ENOSPC.
 */
export class Copier {
  readonly #threads = Array.from({ length: Math.min(THREADS_MAX, availableParallelism()) }, () => new CopyThread());
  #nextKey = 1;

  /** So that the first suspend does not wait for it. */
  start(): void {
    for (const thread of this.#threads) thread.start();
  }

  async copy(what: What): Promise<Copied> {
    return sum(await this.#all((part) => ({ do: 'copy', source: { ...what, part } })));
  }

  /** Makes room in hostd's memory for what is changed now. The machine may run. */
  async open(what: What): Promise<Grab> {
    const key = this.#nextKey++;
    const grab: Grab = {
      grab: async () => void (await this.#all(() => ({ do: 'grab', key }))),
      store: async () => sum(await this.#all(() => ({ do: 'store', key }))),
      close: async () => void (await this.#all(() => ({ do: 'close', key })).catch(() => undefined)),
    };
    try {
      await this.#all((part) => ({ do: 'open', key, source: { ...what, part } }));
      return grab;
    } catch (error) {
      await grab.close();
      throw error;
    }
  }

  /** Every thread is waited for, also after one has failed: the files are not touched any more then. */
  async #all(task: (part: Source['part']) => WithoutId<Task>): Promise<(Copied | null)[]> {
    const of = this.#threads.length;
    const settled = await Promise.allSettled(this.#threads.map((thread, index) => thread.run(task({ index, of }))));
    return settled.map((one) => {
      if (one.status === 'rejected') throw one.reason;
      return one.value;
    });
  }
}

function sum(parts: (Copied | null)[]): Copied {
  const total: Copied = { changed: 0, zero: 0, zeroed: 0 };
  for (const part of parts) {
    total.changed += part?.changed ?? 0;
    total.zero += part?.zero ?? 0;
    total.zeroed += part?.zeroed ?? 0;
  }
  return total;
}

class CopyThread {
  #worker: Worker | null = null;
  #nextId = 1;
  readonly #waiting = new Map<number, { resolve: (copied: Copied | null) => void; reject: (error: Error) => void }>();

  run(task: WithoutId<Task>): Promise<Copied | null> {
    const worker = this.start();
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ ...task, id } satisfies Task);
    });
  }

  /** Safe to repeat. A thread that ended is started again. */
  start(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(new URL('./copy-thread.ts', import.meta.url));
    worker.on('message', (outcome: Outcome) => this.#settle(outcome));
    worker.on('error', (error: Error) => this.#failAll(error));
    worker.on('exit', () => this.#failAll(new Error('the thread that copies memory ended')));
    // Listening for messages had made it a reason for the process to stay.
    worker.unref();
    this.#worker = worker;
    return worker;
  }

  #settle(outcome: Outcome): void {
    const waiter = this.#waiting.get(outcome.id);
    this.#waiting.delete(outcome.id);
    if ('copied' in outcome) waiter?.resolve(outcome.copied);
    else waiter?.reject(Object.assign(new Error(outcome.failed.message), { code: outcome.failed.code }));
  }

  #failAll(error: Error): void {
    this.#worker = null;
    for (const waiter of this.#waiting.values()) waiter.reject(error);
    this.#waiting.clear();
  }
}
