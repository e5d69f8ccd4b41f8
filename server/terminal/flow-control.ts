import { TERMINAL_WINDOW_CHARS } from '../realtime/contract.ts';

/** Reading goes on once the page has caught up to this part of the window, so that it does not stop and start at each report. */
const RESUME_PART = 1 / 4;
export const TERMINAL_RESUME_CHARS = TERMINAL_WINDOW_CHARS * RESUME_PART;

/**
 * Counts characters or bytes on their way to a page. A page that draws slower than the machine prints stops the machine's output
 * at its source instead of filling memory here.
 */
export class FlowControl {
  #pending = 0;
  #paused = false;
  readonly #source: { pause: () => void; resume: () => void };
  readonly #window: number;

  constructor(source: { pause: () => void; resume: () => void }, window: number) {
    this.#source = source;
    this.#window = window;
  }

  sent(count: number): void {
    this.#pending += count;
    if (!this.#paused && this.#pending > this.#window) {
      this.#paused = true;
      this.#source.pause();
    }
  }

  /** A report never counts for more than was sent: a page cannot buy credit. */
  consumed(count: number): void {
    this.#pending = Math.max(0, this.#pending - Math.max(0, count));
    if (this.#paused && this.#pending <= this.#window * RESUME_PART) {
      this.#paused = false;
      this.#source.resume();
    }
  }
}
