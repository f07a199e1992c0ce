/**
 * How often each bound of limits.ts was met, for the metric `limit_hits_total{limit="…"}`.
 *
 * Sessions count the bound that ended them (`RsyncError.limit`); a bound that only cuts something short is counted where it
 * does, and one that makes somebody wait where the wait begins. `outputBytes` counts honest transfers, too: whoever takes less than we
 * can send makes us wait.
 */

import { DEFAULT_LIMITS, type LimitName } from './limits.ts';

const NAMES = Object.keys(DEFAULT_LIMITS) as readonly LimitName[];
const POSITIONS: ReadonlyMap<LimitName, number> = new Map(NAMES.map((name, position) => [name, position]));

/** One counter per bound, in memory that worker threads can share. */
export class LimitHits {
  #counts = new BigUint64Array(new SharedArrayBuffer(NAMES.length * BigUint64Array.BYTES_PER_ELEMENT));

  /** Counts one hit. */
  count(name: LimitName): void {
    Atomics.add(this.#counts, POSITIONS.get(name)!, 1n);
  }

  /** Hits since the start, of every bound, in the order of limits.ts; of all threads that share the counters. */
  snapshot(): ReadonlyMap<LimitName, number> {
    return new Map(NAMES.map((name, position) => [name, Number(Atomics.load(this.#counts, position))]));
  }

  /** What a worker thread gets (as part of its `workerData`), to pass it to its own `shareWith`. */
  get storage(): SharedArrayBuffer {
    return this.#counts.buffer as SharedArrayBuffer;
  }

  /** From here on counts into another thread's `storage`. Call it before anything is counted: what was is left behind. */
  shareWith(storage: SharedArrayBuffer): void {
    this.#counts = new BigUint64Array(storage);
  }
}

/** The counters of this thread. */
export const limitHits = new LimitHits();
