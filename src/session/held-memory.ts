/**
 * What the sessions of all event loops keep outside of V8's heap (security.md B-26): lists and block sums, as far as sessions account for
 * them. V8 bounds its heap and nothing else; overload.ts of each thread notes its part here and looks at the sum.
 */

import { MAX_WORKERS, privateArea, type SharedArea } from '../shared.ts';

/** Of each worker: all that its sessions hold, and what the largest of them does; in units of KiB. */
const WORDS = 2;
const KIB = 1024;

export class HeldMemory {
  static readonly BYTES = 4 * WORDS * MAX_WORKERS;
  readonly #kib: Int32Array;
  readonly #worker: number;

  constructor({ memory, worker }: SharedArea = privateArea(HeldMemory.BYTES)) {
    this.#kib = new Int32Array(memory, 0, WORDS * MAX_WORKERS);
    this.#worker = worker;
  }

  /** What this worker's sessions hold now, in bytes, one number for each. */
  note(held: Iterable<number>): void {
    let sum = 0;
    let largest = 0;
    for (const bytes of held) {
      sum += bytes;
      largest = Math.max(largest, bytes);
    }
    Atomics.store(this.#kib, WORDS * this.#worker, Math.ceil(sum / KIB));
    Atomics.store(this.#kib, WORDS * this.#worker + 1, Math.ceil(largest / KIB));
  }

  /** Bytes of all workers, as each has noted them last. */
  get total(): number {
    let kib = 0;
    for (let worker = 0; worker < MAX_WORKERS; worker++) kib += this.#at(worker, 0);
    return kib * KIB;
  }

  /** Whether no other worker has a larger session than this one. */
  get hasLargest(): boolean {
    const ours = this.#at(this.#worker, 1);
    for (let worker = 0; worker < MAX_WORKERS; worker++) if (this.#at(worker, 1) > ours) return false;
    return true;
  }

  /** Drops what a dead worker has noted. */
  forget(worker: number): void {
    for (let word = 0; word < WORDS; word++) Atomics.store(this.#kib, WORDS * worker + word, 0);
  }

  #at(worker: number, word: number): number {
    return Atomics.load(this.#kib, WORDS * worker + word);
  }
}
