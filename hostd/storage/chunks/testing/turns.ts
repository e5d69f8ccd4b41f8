/**
 * Lets several lanes of work run beside each other, one step at a time, in an order that a test chooses. A step begins only
 * when every lane waits for its turn, so the order does not depend on how fast files or processes are.
 */
export class Turns {
  readonly #choose: (waiting: number[]) => number;
  readonly #running = new Set<number>();
  #waiting: { lane: number; go: () => void }[] = [];

  /** @param choose the place, in the list of waiting lanes it is given, of the one that goes next */
  constructor(lanes: number, choose: (waiting: number[]) => number) {
    this.#choose = choose;
    for (let lane = 0; lane < lanes; lane += 1) this.#running.add(lane);
  }

  take(lane: number): Promise<void> {
    return new Promise((go) => {
      this.#waiting.push({ lane, go });
      this.#next();
    });
  }

  /** The lane is done: the others do not wait for it any more. */
  leave(lane: number): void {
    this.#running.delete(lane);
    this.#next();
  }

  #next(): void {
    const waits = new Set(this.#waiting.map(({ lane }) => lane));
    if (this.#waiting.length === 0 || [...this.#running].some((lane) => !waits.has(lane))) return;
    const [chosen] = this.#waiting.splice(this.#choose(this.#waiting.map(({ lane }) => lane)), 1);
    chosen!.go();
  }
}
