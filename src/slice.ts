/** Cooperative time slices: CPU-bound work asks after each step whether it should let other sessions run. */

/** Longest run without a yield (design.md 2). */
const SLICE_MS = 2;
/** Shortest: below it, waking up costs more than it is worth. */
const SHORTEST_SLICE_MS = 0.25;
/** Others that took less than this between two slices have nothing to do. */
const IDLE_MS = 0.05;
/** How much of what others took counts in the turn after: they may wait for a disk just now. */
const MEMORY = 0.8;

/**
 * Deals out slices: one in each turn of the event loop, in order of arrival. However many tasks compute, sockets and file reads
 * are served between two slices; and while they are, a slice takes half of what they took, so that a session that merely sends
 * keeps at least half of the processor.
 */
class Turns {
  readonly #waiting: ((sliceMs: number) => void)[] = [];
  #sliceEndedMs = 0;
  /** What everybody else took between two slices of late. */
  #othersMs = 0;

  /** Waits for the next turn. @returns the length of the slice in milliseconds. */
  next(): Promise<number> {
    this.#sliceEndedMs = performance.now();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) setImmediate(() => this.#turn());
    });
  }

  #turn(): void {
    this.#othersMs = Math.max(performance.now() - this.#sliceEndedMs, MEMORY * this.#othersMs);
    const sliceMs = Math.min(SLICE_MS, Math.max(SHORTEST_SLICE_MS, this.#othersMs / 2));
    this.#waiting.shift()!(this.#othersMs < IDLE_MS ? SLICE_MS : sliceMs);
    if (this.#waiting.length > 0) setImmediate(() => this.#turn());
  }
}

const turns = new Turns();

/** Measures one stretch of synchronous work. Create one per task, ask `expired` often: a check costs 30 ns. */
export class TimeSlice {
  #startMs = performance.now();
  #lengthMs = SLICE_MS;

  /** True when the task has held the event loop for a whole slice. */
  get expired(): boolean {
    return performance.now() - this.#startMs >= this.#lengthMs;
  }

  /** Lets every other ready task run once, then starts a new slice. */
  async yield(): Promise<void> {
    this.#lengthMs = await turns.next();
    this.#startMs = performance.now();
  }
}
