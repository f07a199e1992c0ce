/** Bytes sent over the last hour, for the plot of the status page. */

/** An hour in steps that a plot of a few hundred pixels can show. */
const STEP_MS = 15_000;
const STEPS = 240;

/** Fed with a counter now and then; one in the main thread. */
export class Throughput {
  readonly #bytes = new Array<number>(STEPS).fill(0);
  #step: number;
  #total: number;
  #maxSteps = 1;

  /** @param total the counter's value now. @param nowMs of a clock that never goes back. */
  constructor(total: number, nowMs: number) {
    this.#total = total;
    this.#step = Math.floor(nowMs / STEP_MS);
  }

  /** @param total the counter's value now; what came since the last call belongs to the current step. */
  sample(total: number, nowMs: number): void {
    this.#advance(Math.floor(nowMs / STEP_MS));
    this.#bytes[this.#step % STEPS]! += Math.max(0, total - this.#total);
    this.#total = Math.max(total, this.#total);
  }

  /** Bytes per second of each step of the last hour, oldest first; the current step, which has not ended, is left out. */
  get bytesPerSecond(): number[] {
    return Array.from({ length: STEPS - 1 }, (_, index) => {
      const step = this.#step - (STEPS - 1) + index;
      return step < 0 ? 0 : (this.#bytes[step % STEPS]! * 1000) / STEP_MS;
    });
  }

  /** Steps that have been seen, at most what `bytesPerSecond` has: the daemon may be younger than an hour. */
  get steps(): number {
    return Math.min(STEPS - 1, this.#maxSteps - 1);
  }

  #advance(step: number): void {
    const skipped = Math.min(STEPS, step - this.#step);
    for (let i = 1; i <= skipped; i++) this.#bytes[(step - skipped + i) % STEPS] = 0;
    this.#maxSteps += step - this.#step;
    this.#step = step;
  }
}
