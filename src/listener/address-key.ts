/** Addresses as numbers that shared memory can hold: admission.ts counts by them, ssh/penalties.ts remembers them. */

import { isIPv4 } from 'node:net';

/** An IPv4 address or an IPv6 /64. Two addresses are the same client when all three numbers are equal. */
export interface AddressKey {
  readonly family: 4 | 6;
  /** 32 bits each, signed. IPv4 uses the upper one. */
  readonly high: number;
  readonly low: number;
}

/**
 * The key of a numeric address; null for loopback and for the '' of a unix socket: tunnels and tests come from there, and no cap
 * or penalty of single addresses holds for them.
 */
export function addressKey(address: string): AddressKey | null {
  if (address === '' || address === '::1') return null;
  if (isIPv4(address)) {
    if (address.startsWith('127.')) return null;
    const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
    return { family: 4, high: (a << 24) | (b << 16) | (c << 8) | d, low: 0 };
  }
  const [a = 0, b = 0, c = 0, d = 0] = firstGroups(address);
  return { family: 6, high: (a << 16) | b, low: (c << 16) | d };
}

/** The same text for all connections of one client: of an IPv4 address, an IPv6 /64, or one place on this host. */
export function clientOf(address: string): string {
  const key = addressKey(address);
  return key === null ? address : `${key.family} ${key.high} ${key.low}`;
}

/** The first four of the eight groups of an IPv6 address, `::` filled in. */
function firstGroups(address: string): number[] {
  const [head = '', tail] = address.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  // A dotted quad at the end stands for two groups.
  const width = (groups: string[]): number => groups.length + (groups.at(-1)?.includes('.') ? 1 : 0);
  const zeros = Math.max(0, 8 - width(before) - width(after));
  const all = [...before, ...new Array<string>(zeros).fill('0'), ...after];
  return all.slice(0, 4).map((group) => Number.parseInt(group, 16));
}
