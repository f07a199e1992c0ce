/**
 * Ends sessions when this thread cannot carry all of them (security.md B-26), so that the others are served: those that hold the most
 * when memory is short, else the newest.
 */

import { getHeapStatistics } from 'node:v8';
import { LimitError } from '../errors.ts';
import type { LimitName, Limits } from '../limits.ts';
import { monotonicMs } from '../shared.ts';
import { HeldMemory } from './held-memory.ts';

/** Looks are this far apart. */
const LOOK_MS = 500;

/** A full heap must be seen so often: the collector may be about to empty it. */
const FULL_LOOKS = 3;

/** So often must sessions be seen to hold too much: the one that another worker has just ended is still in its last note. */
const HELD_LOOKS = 2;

type OverloadLimits = Pick<Limits, 'loopLagMs' | 'loopLagForMs' | 'heapPercent' | 'heldPercent'>;

/** What a look found. */
export interface Load {
  /** How late the look came because this thread was computing. */
  readonly lagMs: number;
  /** Use of the heap in percent of its limit. */
  readonly heapPercent: number;
  /** What the sessions of all threads hold outside of it, likewise. */
  readonly heldPercent: number;
}

/** A session that can be told to go. */
export interface Sheddable {
  /** What it makes us keep, roughly: lists and block sums. */
  readonly heldBytes: number;
  shed(reason: LimitError): void;
}

/** The judge, without a clock of its own. */
export class OverloadJudge {
  readonly #limits: OverloadLimits;
  #lateMs = 0;
  #fullLooks = 0;
  #heldLooks = 0;

  constructor(limits: OverloadLimits) {
    this.#limits = limits;
  }

  /** @returns the bound that somebody must go for, or null. */
  look({ lagMs, heapPercent, heldPercent }: Load): LimitName | null {
    const limits = this.#limits;
    this.#fullLooks = heapPercent > limits.heapPercent ? this.#fullLooks + 1 : 0;
    this.#heldLooks = heldPercent > limits.heldPercent ? this.#heldLooks + 1 : 0;
    this.#lateMs = lagMs > limits.loopLagMs ? this.#lateMs + LOOK_MS + lagMs : 0;
    const met =
      (this.#heldLooks >= HELD_LOOKS && 'heldPercent') ||
      (this.#fullLooks >= FULL_LOOKS && 'heapPercent') ||
      (this.#lateMs >= limits.loopLagForMs && 'loopLagMs') ||
      null;
    if (met !== null) {
      // What was done must show before another one goes.
      this.#lateMs = 0;
      this.#fullLooks = 0;
      this.#heldLooks = 0;
    }
    return met;
  }
}

/** Below it, a session is not what fills the memory. */
const NOTABLE_BYTES = 4 * 1024 * 1024;

/** Who must go for a bound. @param sessions oldest first. */
export function victimOf<S extends Pick<Sheddable, 'heldBytes'>>(
  sessions: readonly S[],
  met: LimitName,
): S | undefined {
  const newest = sessions.at(-1);
  if (met === 'loopLagMs') return newest;
  const notable = sessions.filter(({ heldBytes }) => heldBytes >= NOTABLE_BYTES);
  return notable.sort((a, b) => a.heldBytes - b.heldBytes).at(-1) ?? newest;
}

/** The sessions of this thread, oldest first, and the timer that looks after them until a look finds none. */
class Overload {
  readonly #sessions = new Set<Sheddable>();
  #held = new HeldMemory();
  #timer: NodeJS.Timeout | null = null;
  #lookedMs = 0;
  #lookedCpuMs = 0;

  /** From here on counts what sessions hold together with other threads. Call it before the first session. */
  shareWith(held: HeldMemory): void {
    this.#held = held;
  }

  /** @param limits of the first session count for all that the same timer looks after. */
  add(session: Sheddable, limits: OverloadLimits): void {
    this.#sessions.add(session);
    if (this.#timer !== null) return;
    const judge = new OverloadJudge(limits);
    this.#remember();
    this.#timer = setInterval(() => this.#look(judge), LOOK_MS);
    this.#timer.unref();
  }

  remove(session: Sheddable): void {
    this.#sessions.delete(session);
    // The timer goes on: with many short sessions, one after the other, a timer for each costs more than what it looks after.
    if (this.#sessions.size === 0) this.#held.note([]);
  }

  #look(judge: OverloadJudge): void {
    if (this.#sessions.size === 0 && this.#timer !== null) {
      clearInterval(this.#timer);
      this.#timer = null;
      return;
    }
    const lateMs = monotonicMs() - this.#lookedMs - LOOK_MS;
    // A machine that has given the processor to others is no work of our clients.
    const lagMs = Math.min(lateMs, cpuMs() - this.#lookedCpuMs);
    const { used_heap_size: used, heap_size_limit: most } = getHeapStatistics();
    this.#remember();
    this.#held.note(this.#sessions.values().map(({ heldBytes }) => heldBytes));
    const heldPercent = (100 * this.#held.total) / most;
    const met = judge.look({ lagMs, heapPercent: (100 * used) / most, heldPercent });
    if (met === null || (met === 'heldPercent' && !this.#held.hasLargest)) return;
    const victim = victimOf([...this.#sessions], met);
    if (victim === undefined) return;
    this.#sessions.delete(victim);
    victim.shed(new LimitError(met, 'the server has too much to do, try again later'));
  }

  #remember(): void {
    this.#lookedMs = monotonicMs();
    this.#lookedCpuMs = cpuMs();
  }
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Of this thread. */
export const overload = new Overload();
