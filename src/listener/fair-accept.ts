/** Spreads new connections over the workers of the process; every listener tells it of each connection and asks it for patience. */

import { MAX_WORKERS, monotonicMs, privateArea, type SharedArea } from '../shared.ts';

/** From this many sessions more than another worker has on, a worker lets others go first. */
const SLACK = 2;

/** Longest wait for another worker to wake up and accept; that takes 50 us on an idle machine. */
const PATIENCE_MS = 1;

/** Waiting holds up the sessions of this worker: at most this much of it … */
const WINDOW_PATIENCE_MS = 5;
/** … in this time. */
const WINDOW_MS = 50;

/**
 * Sessions of each worker, counted in shared memory.
 *
 * Workers wait on the same sockets, and whichever wakes up first accepts all that wait there: a burst of clients would end
 * up in one event loop while the others sleep. So a worker that is ahead pauses between two accepts until another one has
 * accepted, or has had the time to.
 */
export class FairAccept {
  /** Shared memory that it needs. */
  static readonly BYTES = 4 * (1 + MAX_WORKERS);
  /** Goes up with each accept of any worker. */
  readonly #accepts: Int32Array;
  /** Sessions plus one of each worker; 0: there is no such worker, or it takes no more. */
  readonly #sessions: Int32Array;
  readonly #worker: number;
  #windowStartMs = 0;
  #waitedMs = 0;

  constructor(area: SharedArea = privateArea(FairAccept.BYTES)) {
    this.#accepts = new Int32Array(area.memory, 0, 1);
    this.#sessions = new Int32Array(area.memory, 4, MAX_WORKERS);
    this.#worker = area.worker;
  }

  /** This worker accepts from now on. Further calls do nothing. */
  open(): void {
    Atomics.compareExchange(this.#sessions, this.#worker, 0, 1);
  }

  /** This worker accepts no more; its sessions go on. */
  close(): void {
    this.forget(this.#worker);
  }

  /** Takes a worker that died, or ends, out of the reckoning. */
  forget(worker: number): void {
    Atomics.store(this.#sessions, worker, 0);
  }

  /** A connection was accepted here. May block for PATIENCE_MS. */
  began(): void {
    const ours = this.#add(1);
    const seen = Atomics.add(this.#accepts, 0, 1) + 1;
    Atomics.notify(this.#accepts, 0);
    if (this.#isAhead(ours)) this.#wait(seen);
  }

  /** A session ended here. */
  ended(): void {
    this.#add(-1);
  }

  /** @returns the cell before. */
  #add(change: number): number {
    const before = Atomics.load(this.#sessions, this.#worker);
    return before === 0 ? 0 : Atomics.add(this.#sessions, this.#worker, change);
  }

  #isAhead(ours: number): boolean {
    return this.#sessions.some((_, other) => {
      const theirs = Atomics.load(this.#sessions, other);
      return theirs > 0 && ours + 1 - theirs >= SLACK;
    });
  }

  #wait(seen: number): void {
    const startMs = monotonicMs();
    if (startMs - this.#windowStartMs >= WINDOW_MS) {
      this.#windowStartMs = startMs;
      this.#waitedMs = 0;
    }
    if (this.#waitedMs >= WINDOW_PATIENCE_MS) return;
    Atomics.wait(this.#accepts, 0, seen, PATIENCE_MS);
    this.#waitedMs += monotonicMs() - startMs;
  }
}
