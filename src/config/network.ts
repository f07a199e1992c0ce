/** IP networks in CIDR form as byte prefixes; acl.ts and the table's `networks` kind use them. */
import { isIP } from 'node:net';
import { ConfigError } from '../errors.ts';

/** A network: its address bytes (4 or 16) and how many leading bits must be equal. */
export interface Network {
  readonly bytes: Uint8Array;
  readonly prefix: number;
}

/** The ten zero bytes and two 0xff that start an IPv4 address written as IPv6 (RFC 4291 2.5.5.2). */
const V4_MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

function isMapped(bytes: Uint8Array): boolean {
  return bytes.length === 16 && V4_MAPPED.equals(bytes.subarray(0, V4_MAPPED.length));
}

function ipv4Bytes(text: string): Uint8Array {
  return Uint8Array.from(text.split('.'), Number);
}

/** The groups of one side of `::`; a dotted tail counts as two groups. */
function groupBytes(text: string): number[] {
  if (text === '') {
    return [];
  }
  return text.split(':').flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return group.includes('.') ? [...ipv4Bytes(group)] : [value >> 8, value & 0xff];
  });
}

function ipv6Bytes(text: string): Uint8Array {
  const [head = '', tail] = text.split('::');
  const first = groupBytes(head);
  const last = tail === undefined ? [] : groupBytes(tail);
  const bytes = new Uint8Array(16);
  bytes.set(first);
  bytes.set(last, 16 - last.length);
  return bytes;
}

/**
 * The bytes of an address: 4 for IPv4, also when it is written as v4-mapped IPv6, else 16; null when it is no address.
 *
 * A zone ("%eth0") is dropped.
 */
export function addressBytes(text: string): Uint8Array | null {
  const plain = text.split('%', 1)[0]!;
  const family = isIP(plain);
  if (family === 4) {
    return ipv4Bytes(plain);
  }
  if (family === 6) {
    const bytes = ipv6Bytes(plain);
    return isMapped(bytes) ? bytes.subarray(V4_MAPPED.length) : bytes;
  }
  return null;
}

/** A copy of the address with all bits behind the prefix cleared. */
export function maskBytes(bytes: Uint8Array, prefix: number): Uint8Array {
  return bytes.map((byte, index) => {
    const bits = Math.min(8, Math.max(0, prefix - index * 8));
    return byte & (0xff << (8 - bits));
  });
}

function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) {
    return bytes.join('.');
  }
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16));
  // The URL parser knows the shortest form of RFC 5952.
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

/** The network in its shortest form. */
export function formatNetwork(network: Network): string {
  return `${formatAddress(network.bytes)}/${network.prefix}`;
}

/** True when the address lies in the network; families never match each other. */
export function networkContains(network: Network, address: Uint8Array): boolean {
  if (address.length !== network.bytes.length) {
    return false;
  }
  return Buffer.compare(maskBytes(address, network.prefix), network.bytes) === 0;
}

/** Prefix length written behind the slash, counted in the bits of `bytes`; the whole address when there is none. */
function parsePrefix(text: string, suffix: string | undefined, bytes: Uint8Array): number {
  const bits = bytes.length * 8;
  if (suffix === undefined) {
    return bits;
  }
  const writtenBits = text.includes(':') ? 128 : 32;
  const prefix = Number(suffix) - (writtenBits - bits);
  if (!/^\d{1,3}$/.test(suffix) || Number(suffix) > writtenBits || prefix < 0) {
    throw new ConfigError(
      `"${text}" has no valid prefix length: expected a network as "10.0.0.0/8" or "2001:db8::/32"`,
    );
  }
  return prefix;
}

/**
 * Parses "10.0.0.0/8", "2001:db8::/32" or a single address.
 * @throws ConfigError without place for host names, net masks, zones and addresses with bits behind the prefix.
 */
export function parseNetwork(text: string): Network {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const bytes = address.includes('%') ? null : addressBytes(address);
  if (bytes === null) {
    // SECURITY: a rule on a host name admits everybody when its lookup fails (CVE-2026-43617, CVE-2026-70452).
    throw new ConfigError(
      `"${text}" is not a network: expected CIDR as "10.0.0.0/8" or "2001:db8::/32"; host names are never looked up`,
    );
  }
  const prefix = parsePrefix(text, slash < 0 ? undefined : text.slice(slash + 1), bytes);
  const masked = maskBytes(bytes, prefix);
  if (Buffer.compare(masked, bytes) !== 0) {
    const meant = formatNetwork({ bytes: masked, prefix });
    throw new ConfigError(`"${text}" has bits set behind its prefix: write "${meant}" or the single address`);
  }
  return { bytes, prefix };
}
