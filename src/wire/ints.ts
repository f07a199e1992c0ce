/**
 * The integer encodings of the protocol as pure functions over buffers (1-session.md 1, 3-transfer.md 1.2).
 *
 *   int       4 bytes little-endian
 *   longint   int if 0…2^31-1, else FF FF FF FF and 8 bytes little-endian
 *   varint    1…5 bytes, count of extra bytes in unary in the first
 *   varlong   m…9 bytes, the same with a minimum length
 *   vstring   1 or 2 length bytes (the second form big-endian), then the bytes
 *
 * Encoders return the offset behind what they wrote; the caller guarantees MAX_INT_BYTES of room.
 */

import { ProtocolError } from '../errors.ts';

/** Room that any single encoder needs. */
export const MAX_INT_BYTES = 12;

const TWO_32 = 2 ** 32;

/** Value bits of the first byte, by the number of extra bytes. */
const PREFIX_MASK = [0x7f, 0x3f, 0x1f, 0x0f, 0x07, 0x03, 0x03] as const;

export function encodeInt32(buf: Uint8Array, offset: number, value: number): number {
  buf[offset] = value;
  buf[offset + 1] = value >> 8;
  buf[offset + 2] = value >> 16;
  buf[offset + 3] = value >> 24;
  return offset + 4;
}

/** Any integer of magnitude up to 2^53, as two's complement in 8 bytes. */
export function encodeInt64(buf: Uint8Array, offset: number, value: number): number {
  encodeInt32(buf, offset, value >>> 0);
  return encodeInt32(buf, offset + 4, Math.floor(value / TWO_32));
}

export function encodeLongint(buf: Uint8Array, offset: number, value: number): number {
  if (value >= 0 && value <= 0x7fffffff) return encodeInt32(buf, offset, value);
  return encodeInt64(buf, encodeInt32(buf, offset, -1), value);
}

/** Signed 32-bit value, 1 to 5 bytes. */
export function encodeVarint(buf: Uint8Array, offset: number, value: number): number {
  encodeInt32(buf, offset + 1, value);
  return mergePrefix(buf, offset, 4, 1);
}

/** Integer of magnitude up to 2^53, `min` to 9 bytes. */
export function encodeVarlong(buf: Uint8Array, offset: number, value: number, min: number): number {
  encodeInt64(buf, offset + 1, value);
  return mergePrefix(buf, offset, 8, min);
}

/** Value bytes stand at offset+1; shortens them to what is needed and writes the prefix byte before them. */
function mergePrefix(buf: Uint8Array, offset: number, width: number, min: number): number {
  let count = width;
  while (count > min && buf[offset + count] === 0) count--;
  const top = buf[offset + count]!;
  const bit = 1 << (7 - count + min);
  if (top >= bit) {
    buf[offset] = ~(bit - 1);
    return offset + count + 1;
  }
  buf[offset] = count > min ? top | ~(bit * 2 - 1) : top;
  return offset + count;
}

/** Number of bytes that follow the first byte of a varint (or, beyond the minimum, of a varlong). */
export function extraBytes(first: number): number {
  if (first < 0x80) return 0;
  if (first < 0xc0) return 1;
  if (first < 0xe0) return 2;
  if (first < 0xf0) return 3;
  if (first < 0xf8) return 4;
  return first < 0xfc ? 5 : 6;
}

/**
 * @param buf the first byte and its extra bytes.
 * @returns signed 32-bit value.
 */
export function decodeVarint(buf: Uint8Array, offset: number): number {
  const first = buf[offset]!;
  const extra = extraBytes(first);
  let value = 0;
  for (let i = 0; i < extra; i++) value |= buf[offset + 1 + i]! << (8 * i);
  if (extra < 4) value |= (first & PREFIX_MASK[extra]!) << (8 * extra);
  return value | 0;
}

/**
 * @param buf `min` bytes and the extra bytes that the first announces.
 * @throws ProtocolError beyond 2^53: rounding a size would corrupt the transfer.
 */
export function decodeVarlong(buf: Uint8Array, offset: number, min: number): number {
  const first = buf[offset]!;
  const extra = extraBytes(first);
  const low = min - 1 + extra;
  let value = 0n;
  for (let i = 0; i < low; i++) value |= BigInt(buf[offset + 1 + i]!) << BigInt(8 * i);
  value |= BigInt(first & PREFIX_MASK[extra]!) << BigInt(8 * low);
  return safeNumber(BigInt.asIntN(64, value));
}

export function decodeInt32(buf: Uint8Array, offset: number): number {
  return buf[offset]! | (buf[offset + 1]! << 8) | (buf[offset + 2]! << 16) | (buf[offset + 3]! << 24);
}

/** @throws ProtocolError beyond 2^53. */
export function decodeInt64(buf: Uint8Array, offset: number): number {
  const low = BigInt(decodeInt32(buf, offset) >>> 0);
  return safeNumber((BigInt(decodeInt32(buf, offset + 4)) << 32n) | low);
}

function safeNumber(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new ProtocolError('64-bit value out of range');
  return number;
}

/** The length header of a vstring; `length` 0…0x7FFF. */
export function encodeVstringLength(buf: Uint8Array, offset: number, length: number): number {
  if (length < 0x80) {
    buf[offset] = length;
    return offset + 1;
  }
  buf[offset] = 0x80 | (length >> 8);
  buf[offset + 1] = length;
  return offset + 2;
}
