/** Addresses that are refused for a while after broken or stalled SSH handshakes; server.ts asks the one of its worker. */

import { randomInt } from 'node:crypto';
import type { Limits } from '../../limits.ts';
import { monotonicMs, privateArea, type SharedArea, SharedLock } from '../../shared.ts';
import { type AddressKey, addressKey } from '../address-key.ts';

/** What a connection did, and how long its address pays for it. The values are OpenSSH's, rounded. */
const PENALTY_MS = {
  /** Broke the protocol or the key exchange, or met a bound. */
  misbehaved: 30_000,
  /** Did not log in in time. */
  stalled: 10_000,
  /** Failed to authenticate. */
  refused: 5000,
} as const;
export type Offence = keyof typeof PENALTY_MS;

/** An address is served until its penalties add up to this: three typing errors are nothing. */
const THRESHOLD_MS = 15_000;

/** Addresses remembered: sets of eight. A flood of more pushes the oldest out of its set. */
const SETS = 8192;
const WAYS = 8;
const SLOTS = SETS * WAYS;

const LOCK_AT = 0;
const SEED_AT = 4;
const KEYS_AT = 8;
/** Family, high and low of a key. */
const KEY_INTS = 3;
const TIMES_AT = KEYS_AT + 4 * KEY_INTS * SLOTS;

/** Penalties of IPv4 addresses and IPv6 /64 networks; they run off as time passes. Loopback and unix sockets have none. */
export class Penalties {
  /** Shared memory that it needs; untouched parts of it cost nothing. */
  static readonly BYTES = TIMES_AT + 8 * SLOTS;
  readonly #maxMs: number;
  readonly #now: () => number;
  readonly #lock: SharedLock;
  readonly #seed: Int32Array;
  readonly #keys: Int32Array;
  /** When all of an address's penalties have run off; 0 in a slot without one. */
  readonly #until: Float64Array;

  /** @param now a clock in milliseconds, the same in all workers. */
  constructor(
    limits: Pick<Limits, 'sshPenaltyMs'>,
    now: () => number = monotonicMs,
    area: SharedArea = privateArea(Penalties.BYTES),
  ) {
    this.#maxMs = limits.sshPenaltyMs;
    this.#now = now;
    this.#lock = new SharedLock(area, LOCK_AT);
    this.#seed = new Int32Array(area.memory, SEED_AT, 1);
    this.#keys = new Int32Array(area.memory, KEYS_AT, KEY_INTS * SLOTS);
    this.#until = new Float64Array(area.memory, TIMES_AT, SLOTS);
  }

  /** True when the address must wait. */
  refuses(address: string): boolean {
    const key = addressKey(address);
    if (key.family === 0) return false;
    const until = this.#lock.run(() => this.#until[this.#slotOf(key)] ?? 0);
    return until - this.#now() >= Math.min(THRESHOLD_MS, this.#maxMs);
  }

  add(address: string, offence: Offence): void {
    const key = addressKey(address);
    if (key.family === 0) return;
    this.#lock.run(() => {
      const nowMs = this.#now();
      const known = this.#slotOf(key);
      const slot = known >= 0 ? known : this.#oldestOf(key);
      const untilMs = Math.max(known >= 0 ? this.#until[slot]! : 0, nowMs) + PENALTY_MS[offence];
      this.#keys.set([key.family, key.high, key.low], KEY_INTS * slot);
      this.#until[slot] = Math.min(untilMs, nowMs + this.#maxMs);
    });
  }

  /** Opens the lock when a dead worker holds it. */
  forget(worker: number): void {
    this.#lock.forget(worker);
  }

  /** Where an address is; -1 when it is nowhere. */
  #slotOf({ family, high, low }: AddressKey): number {
    const first = this.#firstSlot(high, low);
    for (let slot = first; slot < first + WAYS; slot++) {
      const at = KEY_INTS * slot;
      if (this.#keys[at] === family && this.#keys[at + 1] === high && this.#keys[at + 2] === low) return slot;
    }
    return -1;
  }

  #oldestOf({ high, low }: AddressKey): number {
    const first = this.#firstSlot(high, low);
    const times = this.#until.subarray(first, first + WAYS);
    return first + times.indexOf(times.reduce((least, time) => Math.min(least, time)));
  }

  #firstSlot(high: number, low: number): number {
    // SECURITY: who knows which addresses share a set could push his own out of it. The first worker that needs it chooses, under the lock.
    if (this.#seed[0] === 0) this.#seed[0] = randomInt(1, 2 ** 31);
    let hash = this.#seed[0]!;
    for (const part of [high, low]) {
      hash = Math.imul(hash ^ part, 0x9e37_79b1);
      hash ^= hash >>> 15;
      hash = Math.imul(hash, 0x85eb_ca77);
      hash ^= hash >>> 13;
    }
    return WAYS * ((hash >>> 0) % SETS);
  }
}
