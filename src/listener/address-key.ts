/** Addresses as numbers that shared memory can hold: admission.ts counts by them, ssh/penalties.ts remembers them. */

import { isIPv4 } from 'node:net';

/** An IPv4 address, an IPv6 /64, or a place on this host. Two addresses are the same client when all three numbers are equal. */
export interface AddressKey {
  /** 0 for a place on this host: tunnels and tests come from there, and no cap or penalty of single addresses holds for them. */
  readonly family: 0 | 4 | 6;
  /** 32 bits each, signed. IPv4 uses the upper one. */
  readonly high: number;
  readonly low: number;
}

/** The key of a numeric address, or of the '' of a unix socket, which is on this host as loopback is. */
export function addressKey(address: string): AddressKey {
  if (address === '') return { family: 0, high: 0, low: 0 };
  if (address === '::1') return { family: 0, high: 0, low: 1 };
  if (isIPv4(address)) {
    const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
    return { family: a === 127 ? 0 : 4, high: (a << 24) | (b << 16) | (c << 8) | d, low: 0 };
  }
  const [a = 0, b = 0, c = 0, d = 0] = firstGroups(address);
  return { family: 6, high: (a << 16) | b, low: (c << 16) | d };
}

/** The same text for all connections of one client: of an IPv4 address, an IPv6 /64, or one place on this host. */
export function clientOf(address: string): string {
  return clientText(addressKey(address));
}

/** As `clientOf`, where the key is known. */
export function clientText({ family, high, low }: AddressKey): string {
  return `${family} ${high} ${low}`;
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
