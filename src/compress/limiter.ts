/** Caps the compression jobs of the whole process; the compressors of all sessions share one instance. */

/**
 * Runs at most `limit` jobs at once and the others in order of arrival.
 *
 * SECURITY: without a common cap every session queues work and memory in libuv's pool, where file reads wait as well.
 */
export class Limiter {
  readonly #limit: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Jobs that run or wait. */
  get load(): number {
    return this.#running + this.#waiting.length;
  }

  /** Runs `job` when its turn comes; settles as the job does. */
  async run<T>(job: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limit) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await job();
    } finally {
      // The place passes directly to the next job, so a newcomer cannot overtake it.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
