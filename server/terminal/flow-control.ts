import { TERMINAL_WINDOW_CHARS } from '../realtime/contract.ts';

/** Reading goes on once the page has caught up to this; below the window, so that it does not stop and start at each report. */
export const TERMINAL_RESUME_CHARS = TERMINAL_WINDOW_CHARS / 4;

/**
 * Counts characters on their way to a page. A page that draws slower than the machine prints stops the machine's output
 * at its source instead of filling memory here.
 */
export class FlowControl {
  #pending = 0;
  #paused = false;
  readonly #source: { pause: () => void; resume: () => void };

  constructor(source: { pause: () => void; resume: () => void }) {
    this.#source = source;
  }

  sent(chars: number): void {
    this.#pending += chars;
    if (!this.#paused && this.#pending > TERMINAL_WINDOW_CHARS) {
      this.#paused = true;
      this.#source.pause();
    }
  }

  /** A report never counts for more than was sent: a page cannot buy credit. */
  consumed(chars: number): void {
    this.#pending = Math.max(0, this.#pending - Math.max(0, chars));
    if (this.#paused && this.#pending <= TERMINAL_RESUME_CHARS) {
      this.#paused = false;
      this.#source.resume();
    }
  }
}
