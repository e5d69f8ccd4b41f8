import type { EgressLog } from './log.ts';

/** One request or tunnel from its first line to its end, for the log and the activity count. Written exactly once. */
export class Exchange {
  bytesUp = 0;
  bytesDown = 0;
  readonly #log: EgressLog;
  readonly #about: { method: string; host: string; port: number; path: string | null };
  readonly #onEnd: () => void;
  #open = true;

  constructor(log: EgressLog, about: { method: string; host: string; port: number; path: string | null }, onEnd: () => void) {
    this.#log = log;
    this.#about = about;
    this.#onEnd = onEnd;
  }

  end(decision: 'allow' | 'deny', reason: string, status: number | null): void {
    if (!this.#open) return;
    this.#open = false;
    this.#log.add({ ...this.#about, decision, reason, status, bytesUp: this.bytesUp, bytesDown: this.bytesDown });
    this.#onEnd();
  }
}
