import type { EgressReason } from '../contract/egress.ts';
import { ByteCounter } from './byte-counter.ts';
import type { MachineJournal } from './journal.ts';
import { toLogEntry } from './log.ts';

export type About = { method: string; host: string; port: number; path: string | null };
type Listeners = { moved: (bytes: number) => void; ended: () => void };

/** One request or tunnel from its first line to its end, for the log and the activity count. Written exactly once. */
export class Exchange {
  /** Id of the rule that let it through. */
  rule: string | null = null;
  /** Ids of the secrets that were added to it. */
  secrets: readonly string[] = [];
  readonly #log: MachineJournal;
  readonly #about: About;
  readonly #listeners: Listeners;
  readonly #counters: Record<'up' | 'down', ByteCounter | null> = { up: null, down: null };
  #open = true;

  constructor(log: MachineJournal, about: About, listeners: Listeners) {
    this.#log = log;
    this.#about = about;
    this.#listeners = listeners;
  }

  /** The bytes of one direction go through this, and are told of as they pass. */
  counter(direction: 'up' | 'down', max = Number.POSITIVE_INFINITY): ByteCounter {
    const made = new ByteCounter(max, this.#listeners.moved);
    this.#counters[direction] = made;
    return made;
  }

  end(decision: 'allow' | 'deny', reason: EgressReason, status: number | null): void {
    if (!this.#open) return;
    this.#open = false;
    const { up, down } = this.#counters;
    const bytes = { bytesUp: up?.bytes ?? 0, bytesDown: down?.bytes ?? 0 };
    const { rule } = this;
    this.#log.add(toLogEntry({ ...this.#about, decision, reason, status, ...bytes, rule, secrets: [...this.secrets] }));
    this.#listeners.ended();
  }
}
