/**
 * Memory that all workers of the process see, and what bounds for the process as a whole are made of: a lock, counts per
 * worker, a token bucket. Whatever is not given a shared area makes a private one and behaves the same.
 *
 * Counts are kept per worker and added up when they are asked for, so that those of a worker that died can be dropped.
 */

/** Event loops that a process can have; the key `workers` allows no more. */
export const MAX_WORKERS = 8;

/** The only argument that worker threads get. */
export const WORKER_ARGUMENT = 'worker';

/** A piece of shared memory as one worker sees it. */
export interface SharedArea {
  readonly memory: SharedArrayBuffer;
  /** Which worker looks, 0 to MAX_WORKERS - 1. */
  readonly worker: number;
}

/** An area that only the caller knows. */
export function privateArea(bytes: number): SharedArea {
  return { memory: new SharedArrayBuffer(bytes), worker: 0 };
}

/**
 * Milliseconds of a clock that never goes back and that all workers read alike. performance.now() has a start of its own in each, and
 * loads ten parts of Node when it is first named, which a start can do without.
 */
export function monotonicMs(): number {
  // Taking the pair apart as a pattern makes an iterator each time.
  const now = process.hrtime();
  return now[0] * 1000 + now[1] / 1e6;
}

/** How long one look at a lock that somebody holds may sleep; holders take microseconds. */
const LOCK_WAIT_MS = 1;

const FREE = 0;

/** A lock between workers, for a few microseconds at a time. Not reentrant. */
export class SharedLock {
  static readonly BYTES = 4;
  readonly #holder: Int32Array;
  readonly #us: number;

  constructor({ memory, worker }: SharedArea, offset = 0) {
    this.#holder = new Int32Array(memory, offset, 1);
    this.#us = worker + 1;
  }

  /** Runs `critical`, which must neither wait nor use this lock, while no other worker is inside. */
  run<T>(critical: () => T): T {
    this.#acquire();
    try {
      return critical();
    } finally {
      this.#release(this.#us);
    }
  }

  /** Opens the lock when `worker`, which is dead, holds it. @returns whether it did. */
  forget(worker: number): boolean {
    return this.#release(worker + 1);
  }

  #acquire(): void {
    for (;;) {
      const holder = Atomics.compareExchange(this.#holder, 0, FREE, this.#us);
      if (holder === FREE) return;
      Atomics.wait(this.#holder, 0, holder, LOCK_WAIT_MS);
    }
  }

  #release(holder: number): boolean {
    const isHeld = Atomics.compareExchange(this.#holder, 0, holder, FREE) === holder;
    if (isHeld) Atomics.notify(this.#holder, 0, 1);
    return isHeld;
  }
}

/** Tells all workers that something has changed. */
export class SharedSignal {
  static readonly BYTES = 4;
  readonly #changes: Int32Array;

  constructor({ memory }: SharedArea, offset: number) {
    this.#changes = new Int32Array(memory, offset, 1);
  }

  /** Changes so far; what `change` wants to know. */
  get changes(): number {
    return Atomics.load(this.#changes, 0);
  }

  tell(): void {
    Atomics.add(this.#changes, 0, 1);
    Atomics.notify(this.#changes, 0);
  }

  /** Resolves when somebody has told since `changes` was read, at the latest after `maxMs`. */
  async change(changes: number, maxMs: number): Promise<void> {
    const wait = Atomics.waitAsync(this.#changes, 0, changes, maxMs);
    if (wait.async) await wait.value;
  }
}

/** One number per worker, with a bound on their sum. */
export class SharedCounts {
  static readonly BYTES = SharedLock.BYTES + SharedSignal.BYTES + 4 * MAX_WORKERS;
  readonly #lock: SharedLock;
  /** Told of each place that is given back. */
  readonly given: SharedSignal;
  readonly #counts: Int32Array;
  readonly #worker: number;

  constructor(area: SharedArea = privateArea(SharedCounts.BYTES), offset = 0) {
    this.#lock = new SharedLock(area, offset);
    this.given = new SharedSignal(area, offset + SharedLock.BYTES);
    this.#counts = new Int32Array(area.memory, offset + SharedLock.BYTES + SharedSignal.BYTES, MAX_WORKERS);
    this.#worker = area.worker;
  }

  /** Of all workers. */
  get total(): number {
    return this.#counts.reduce((sum, _, worker) => sum + this.of(worker), 0);
  }

  /** Of one worker. */
  of(worker: number): number {
    return Atomics.load(this.#counts, worker);
  }

  /** Takes one place of `limit`; false when all are taken. */
  take(limit: number): boolean {
    return this.#lock.run(() => {
      if (this.total >= limit) return false;
      Atomics.add(this.#counts, this.#worker, 1);
      return true;
    });
  }

  /** Gives one place back. */
  give(): void {
    Atomics.sub(this.#counts, this.#worker, 1);
    this.given.tell();
  }

  /** Drops the places of a dead worker. */
  forget(worker: number): void {
    this.#lock.forget(worker);
    Atomics.store(this.#counts, worker, 0);
    this.given.tell();
  }
}

/** A token bucket that all workers draw from: so many units a second, one second's worth at once. */
export class SharedBucket {
  static readonly BYTES = 24;
  readonly #lock: SharedLock;
  /** Tokens, time of the last refill; both are 0 in a bucket that nobody has drawn from, which is full. */
  readonly #state: Float64Array;
  readonly #perSecond: number;

  constructor(perSecond: number, area: SharedArea = privateArea(SharedBucket.BYTES), offset = 0) {
    this.#lock = new SharedLock(area, offset);
    this.#state = new Float64Array(area.memory, offset + 8, 2);
    this.#perSecond = perSecond;
  }

  /** Takes `units` when there are as many. */
  take(units = 1): boolean {
    return this.#lock.run(() => {
      const nowMs = monotonicMs();
      const [tokens = 0, refilledMs = 0] = this.#state;
      const gained = ((nowMs - refilledMs) / 1000) * this.#perSecond;
      const left = Math.min(this.#perSecond, refilledMs === 0 ? this.#perSecond : tokens + gained);
      const isEnough = left >= units;
      this.#state[0] = isEnough ? left - units : left;
      this.#state[1] = nowMs;
      return isEnough;
    });
  }

  forget(worker: number): void {
    this.#lock.forget(worker);
  }
}
