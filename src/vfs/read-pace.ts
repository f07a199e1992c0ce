/** Whether a file comes from memory: then it is read in the tick that needs it, else by the thread pool. */

/** Files up to this size, in bytes, are read in the tick that needs them: a thread-pool round trip would cost more than the read. */
export const SMALL_FILE = 128 * 1024;

/** A read that took longer, in milliseconds, came from somewhere else than memory. */
const SLOW_READ_MS = 1;

/** Judges by the latest read of a file. */
export class ReadPace {
  /** True until the first read has shown otherwise: nobody knows yet where the file lies. */
  isSlow = true;

  note(startedMs: number): void {
    this.isSlow = performance.now() - startedMs > SLOW_READ_MS;
  }
}
