/**
 * Wakes whoever waits for a session when something about it changed anywhere. A signal between two waits is kept, so
 * reading first and waiting after misses nothing. Signals carry no content and may be too many, never too few.
 */
export class SessionSignals {
  private readonly subscribers = new Map<string, Set<() => void>>();

  /** Something about this session moved on. */
  notify(sessionId: string) {
    for (const wake of this.subscribers.get(sessionId) ?? []) wake();
  }

  /** The connection that carries signals was away: anyone may have missed one. */
  notifyAll() {
    for (const sessionId of this.subscribers.keys()) this.notify(sessionId);
  }

  subscribe(sessionId: string): Subscription {
    let raised = false;
    let waiting: (() => void) | null = null;
    const wake = () => {
      raised = true;
      waiting?.();
    };
    const wakes = this.subscribers.get(sessionId) ?? new Set();
    this.subscribers.set(sessionId, wakes.add(wake));
    return {
      next: async (timeoutMs, signal) => {
        if (!raised && !signal.aborted) {
          const { promise, resolve } = Promise.withResolvers<void>();
          const done = () => resolve();
          const timer = setTimeout(done, timeoutMs);
          signal.addEventListener('abort', done, { once: true });
          waiting = done;
          await promise;
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          waiting = null;
        }
        const was = raised;
        raised = false;
        return was;
      },
      close: () => {
        wakes.delete(wake);
        if (wakes.size === 0) this.subscribers.delete(sessionId);
      },
    };
  }
}

export type Subscription = {
  /** Resolves at the next signal, or after `timeoutMs`, or when aborted; true when there was a signal. */
  next: (timeoutMs: number, signal: AbortSignal) => Promise<boolean>;
  close: () => void;
};
