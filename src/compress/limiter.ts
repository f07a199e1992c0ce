/** Caps the compression jobs of the whole process; the compressors of all sessions share one instance. */

import { limitHits } from '../limit-hits.ts';
import { MAX_WORKERS, privateArea, type SharedArea, SharedCounts } from '../shared.ts';

/** Another worker's turn is looked for this often, should its notice get lost. */
const RETRY_MS = 20;

/**
 * Runs at most `limit` jobs at once, in all workers together, and those of one worker in order of arrival.
 *
 * SECURITY: without a common cap every session queues work and memory in libuv's pool, where file reads wait as well.
 */
export class Limiter {
  /** Shared memory that it needs. */
  static readonly BYTES = SharedCounts.BYTES + 4 * MAX_WORKERS;
  readonly #limit: number;
  readonly #running: SharedCounts;
  /** Jobs that wait in each worker. */
  readonly #waitingOf: Int32Array;
  readonly #worker: number;
  readonly #waiting: (() => void)[] = [];
  #isWatching = false;

  constructor(limit: number, area: SharedArea = privateArea(Limiter.BYTES)) {
    this.#limit = limit;
    this.#running = new SharedCounts(area);
    this.#waitingOf = new Int32Array(area.memory, SharedCounts.BYTES, MAX_WORKERS);
    this.#worker = area.worker;
  }

  /** Jobs of this worker that run or wait. */
  get load(): number {
    return this.#running.of(this.#worker) + this.#waiting.length;
  }

  /** Runs `job` when its turn comes; settles as the job does. */
  async run<T>(job: () => Promise<T>): Promise<T> {
    if (this.#waiting.length > 0 || !this.#running.take(this.#limit)) {
      limitHits.count('compressionJobs');
      await this.#turn();
    }
    try {
      return await job();
    } finally {
      this.#pass();
    }
  }

  /** Drops what a dead worker held. */
  forget(worker: number): void {
    Atomics.store(this.#waitingOf, worker, 0);
    this.#running.forget(worker);
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#tellWaiting();
      void this.#watch();
    });
  }

  /** The place of a finished job goes directly to the next one here, unless a worker with less waits for one. */
  #pass(): void {
    const next = this.#othersLackPlaces() ? undefined : this.#waiting.shift();
    this.#tellWaiting();
    if (next === undefined) this.#running.give();
    else next();
  }

  #othersLackPlaces(): boolean {
    const ours = this.#running.of(this.#worker);
    return this.#waitingOf.some(
      (_, other) =>
        other !== this.#worker && Atomics.load(this.#waitingOf, other) > 0 && this.#running.of(other) < ours,
    );
  }

  /** Takes the places that other workers give back, as long as somebody waits here. */
  async #watch(): Promise<void> {
    if (this.#isWatching) return;
    this.#isWatching = true;
    while (this.#waiting.length > 0) {
      const { changes } = this.#running.given;
      if (this.#running.take(this.#limit)) {
        this.#waiting.shift()!();
        this.#tellWaiting();
      } else await this.#running.given.change(changes, RETRY_MS);
    }
    this.#isWatching = false;
  }

  #tellWaiting(): void {
    Atomics.store(this.#waitingOf, this.#worker, this.#waiting.length);
  }
}
