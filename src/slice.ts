/** Cooperative time slices: CPU-bound work asks after each step whether it should let other sessions run. */

/** Longest run without a yield (design.md 2). */
const SLICE_MS = 2;

/** Measures one stretch of synchronous work. Create one per task, ask `expired` often: a check costs 30 ns. */
export class TimeSlice {
  #startMs = performance.now();

  /** True when the task has held the event loop for a whole slice. */
  get expired(): boolean {
    return performance.now() - this.#startMs >= SLICE_MS;
  }

  /** Lets every other ready task run once, then starts a new slice. */
  async yield(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#startMs = performance.now();
  }
}
