/**
 * The header that a proxy puts in front of a connection to say whose it is (HAProxy's PROXY protocol); proxy.ts reads it.
 *
 * Version 1 is a line: `PROXY TCP4 source destination sourcePort destinationPort CR LF`, or `PROXY UNKNOWN … CR LF`.
 * Version 2: signature:12 versionAndCommand:byte family:byte length:uint16, then `length` bytes: addresses, ports, TLVs. Big-endian.
 */

import { isIPv4, isIPv6 } from 'node:net';
import { ProtocolError } from '../errors.ts';
import type { PeerAddress } from '../wire/transport.ts';

/** Longest line of version 1, with its end. */
export const MAX_V1_BYTES = 107;

const V2_FIXED_BYTES = 16;

/** Longest header of version 2: its fixed part, two unix socket paths, and room for TLVs. Proxies send far less. */
export const MAX_V2_BYTES = 536;

const V1_START = Buffer.from('PROXY ');
const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

/** High half of a byte: version 2. Low half: 0, the proxy speaks for itself (a health check); 1, for a client. */
const V2_LOCAL = 0x20;
const V2_PROXY = 0x21;

/** Address family and transport → bytes of the address block. */
const V2_ADDRESS_BYTES: Readonly<Record<number, number>> = { 0: 0, 17: 12, 33: 36, 49: 216 };

export interface ProxyHeader {
  /** Its length; the client's own bytes follow. */
  readonly bytes: number;
  /** The client; null when the proxy speaks for itself or does not know. */
  readonly client: PeerAddress | null;
}

/**
 * Parses the header at the start of `input`.
 * @returns null when it may still become one: more bytes are needed, at most MAX_V2_BYTES in all.
 * @throws ProtocolError as soon as it cannot be one.
 */
export function parseProxyHeader(input: Buffer): ProxyHeader | null {
  if (startsAs(input, V2_SIGNATURE)) return parseV2(input);
  if (startsAs(input, V1_START)) return parseV1(input);
  throw malformed('no PROXY header');
}

/** True when the shorter of both is the beginning of the longer. */
function startsAs(input: Buffer, start: Buffer): boolean {
  const length = Math.min(input.length, start.length);
  return input.subarray(0, length).equals(start.subarray(0, length));
}

function parseV1(input: Buffer): ProxyHeader | null {
  const end = input.subarray(0, MAX_V1_BYTES).indexOf('\r\n');
  if (end < 0) {
    if (input.length >= MAX_V1_BYTES) throw malformed('PROXY line without an end');
    return null;
  }
  const bytes = end + 2;
  const [, family, source, target, sourcePort, targetPort, ...more] = input.toString('latin1', 0, end).split(' ');
  if (family === 'UNKNOWN') return { bytes, client: null };
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isPlainIPv6 : () => false;
  if (more.length > 0 || !isAddress(source ?? '') || !isAddress(target ?? '')) throw malformed('wrong PROXY line');
  parsePort(targetPort);
  const address = family === 'TCP4' ? source! : shortestText(source!);
  return { bytes, client: { address, port: parsePort(sourcePort) } };
}

function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%');
}

function parsePort(text = ''): number {
  if (!/^(?:0|[1-9]\d{0,4})$/.test(text) || Number(text) > 0xffff) throw malformed('wrong port in a PROXY line');
  return Number(text);
}

function parseV2(input: Buffer): ProxyHeader | null {
  if (input.length < V2_FIXED_BYTES) return null;
  const command = input[12]!;
  if (command !== V2_LOCAL && command !== V2_PROXY) throw malformed('unknown version or command in a PROXY header');
  // SECURITY: unsigned, and bounded before anything is waited for.
  const bytes = V2_FIXED_BYTES + input.readUInt16BE(14);
  if (bytes > MAX_V2_BYTES) throw malformed('PROXY header too long');
  if (input.length < bytes) return null;
  if (command === V2_LOCAL) return { bytes, client: null };
  const family = input[13]!;
  const addressBytes = V2_ADDRESS_BYTES[family];
  if (addressBytes === undefined) throw malformed('PROXY header for something else than a stream');
  const block = input.subarray(V2_FIXED_BYTES, bytes);
  if (block.length < addressBytes) throw malformed('PROXY header shorter than its addresses');
  // What follows without a family means nothing.
  if (family !== 0) checkTlvs(block.subarray(addressBytes));
  return { bytes, client: clientOf(family, block) };
}

/** Type:byte length:uint16 value, and nothing left over. We need none of them. */
function checkTlvs(tlvs: Buffer): void {
  let at = 0;
  while (at < tlvs.length) {
    if (tlvs.length - at < 3) throw malformed('PROXY header ends inside a TLV');
    at += 3 + tlvs.readUInt16BE(at + 1);
  }
  if (at > tlvs.length) throw malformed('PROXY header ends inside a TLV');
}

function clientOf(family: number, block: Buffer): PeerAddress | null {
  if (family === 0x11) return { address: block.subarray(0, 4).join('.'), port: block.readUInt16BE(8) };
  if (family !== 0x21) return null;
  const groups = Array.from({ length: 8 }, (_, index) => block.readUInt16BE(2 * index).toString(16));
  return { address: shortestText(groups.join(':')), port: block.readUInt16BE(32) };
}

/**
 * An IPv6 address in one spelling.
 *
 * SECURITY: one that stands for an IPv4 address becomes that, in whatever way it was written: access lists and caps must not see
 * another client in it.
 */
function shortestText(address: string): string {
  // The URL parser knows the shortest form of RFC 5952.
  const text = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(text);
  if (mapped === null) return text;
  return mapped
    .slice(1)
    .map((group) => Number.parseInt(group, 16))
    .flatMap((group) => [group >> 8, group & 0xff])
    .join('.');
}

function malformed(message: string): ProtocolError {
  return new ProtocolError(message, { code: 'proxy-header' });
}
