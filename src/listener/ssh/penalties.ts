/** Addresses that are refused for a while after broken or stalled SSH handshakes; server.ts keeps one for the process. */

import type { Limits } from '../../limits.ts';

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

/** Addresses remembered; a flood from more than these pushes out the oldest. */
const MAX_ADDRESSES = 65_536;

/** Penalties of IPv4 addresses and IPv6 /64 networks; they run off as time passes. Loopback and unix sockets have none. */
export class Penalties {
  readonly #maxMs: number;
  readonly #now: () => number;
  /** When all of an address's penalties have run off. */
  readonly #until = new Map<string, number>();

  /** @param now a clock in milliseconds. */
  constructor(limits: Pick<Limits, 'sshPenaltyMs'>, now: () => number = () => performance.now()) {
    this.#maxMs = limits.sshPenaltyMs;
    this.#now = now;
  }

  /** True when the address must wait. */
  refuses(address: string): boolean {
    const key = networkOf(address);
    return key !== null && (this.#until.get(key) ?? 0) - this.#now() >= Math.min(THRESHOLD_MS, this.#maxMs);
  }

  add(address: string, offence: Offence): void {
    const key = networkOf(address);
    if (key === null) return;
    const nowMs = this.#now();
    const untilMs = Math.max(this.#until.get(key) ?? 0, nowMs) + PENALTY_MS[offence];
    // Moves the address to the end of the map's order, which is the order of eviction.
    this.#until.delete(key);
    this.#until.set(key, Math.min(untilMs, nowMs + this.#maxMs));
    if (this.#until.size > MAX_ADDRESSES) this.#until.delete(this.#until.keys().next().value!);
  }
}

/** The key under which an address is remembered; null for those that are never refused. */
function networkOf(address: string): string | null {
  if (address === '' || address === '::1' || address.startsWith('127.')) return null;
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const last = tail === '' ? [] : tail.split(':');
    // A dotted tail fills two groups; the first four are all that matters.
    const size = groups.length + last.length + (tail.includes('.') ? 1 : 0);
    groups.push(...Array.from({ length: Math.max(0, 8 - size) }, () => '0'), ...last);
  }
  return groups.slice(0, 4).join(':').toLowerCase();
}
