import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../../../src/errors.ts';
import {
  decodeInt32,
  decodeInt64,
  decodeVarint,
  decodeVarlong,
  encodeInt32,
  encodeInt64,
  encodeLongint,
  encodeVarint,
  encodeVarlong,
  encodeVstringLength,
  extraBytes,
  MAX_INT_BYTES,
} from '../../../src/wire/ints.ts';
import { isSafe, varints } from './vectors.ts';

type Encoder = (buf: Uint8Array, offset: number) => number;

/** What an encoder writes at an odd offset, as hex; checks that the room is enough. */
function encoded(encode: Encoder): string {
  const buf = Buffer.alloc(3 + MAX_INT_BYTES, 0xcc);
  const end = encode(buf, 3);
  expect(buf.subarray(0, 3).toString('hex')).toBe('cccccc');
  return buf.subarray(3, end).toString('hex');
}

const safeVarlongs = varints.varlong.filter(({ value }) => isSafe(value));
const hugeVarlongs = varints.varlong.filter(({ value }) => !isSafe(value));
const safeLongints = varints.longint.filter(({ value }) => isSafe(value));
const hugeLongints = varints.longint.filter(({ value }) => !isSafe(value));

describe('varint', () => {
  it.each(varints.varint)('writes $value as $hex and reads it back', ({ value, hex }) => {
    expect(encoded((buf, at) => encodeVarint(buf, at, value))).toBe(hex);
    expect(decodeVarint(Buffer.from(`ff${hex}`, 'hex'), 1)).toBe(value);
  });

  it('reads overlong forms', () => {
    expect(
      ['8000', 'c00000', 'e0000000', 'f000000000', 'f07f000000'].map((h) => decodeVarint(Buffer.from(h, 'hex'), 0)),
    ).toEqual([0, 0, 0, 0, 127]);
  });

  it('ignores the low bits of a first byte with four extra bytes', () => {
    expect(decodeVarint(Buffer.from('f701000000', 'hex'), 0)).toBe(1);
  });

  it('returns every 32-bit value unchanged', () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (value) => {
        const buf = Buffer.alloc(MAX_INT_BYTES);
        const end = encodeVarint(buf, 0, value);
        return decodeVarint(buf, 0) === value && end === 1 + extraBytes(buf[0]!);
      }),
    );
  });

  it('writes an unsigned 32-bit id with the bits of its signed twin', () => {
    expect(encoded((buf, at) => encodeVarint(buf, at, 0xfffffffe))).toBe('f0feffffff');
  });
});

describe('varlong', () => {
  it.each(safeVarlongs)('writes $value with at least $min_bytes bytes as $hex', ({ min_bytes, value, hex }) => {
    expect(encoded((buf, at) => encodeVarlong(buf, at, Number(value), min_bytes))).toBe(hex);
    expect(decodeVarlong(Buffer.from(hex, 'hex'), 0, min_bytes)).toBe(Number(value));
  });

  it.each(hugeVarlongs)('refuses $value ($min_bytes bytes at least) instead of rounding it', ({ min_bytes, hex }) => {
    expect(() => decodeVarlong(Buffer.from(hex, 'hex'), 0, min_bytes)).toThrow(ProtocolError);
  });

  it.each([3, 4])('returns every safe integer unchanged with a minimum of %i bytes', (min) => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        const buf = Buffer.alloc(MAX_INT_BYTES);
        const end = encodeVarlong(buf, 0, value, min);
        return decodeVarlong(buf, 0, min) === value && end === min + extraBytes(buf[0]!);
      }),
    );
  });
});

describe('longint', () => {
  it.each(safeLongints)('writes $value as $hex', ({ value, hex }) => {
    expect(encoded((buf, at) => encodeLongint(buf, at, Number(value)))).toBe(hex);
  });

  it.each(hugeLongints)('refuses $value on the way in', ({ hex }) => {
    expect(() => decodeInt64(Buffer.from(hex, 'hex'), 4)).toThrow(ProtocolError);
  });
});

describe('int', () => {
  it.each([
    [0, '00000000'],
    [-1, 'ffffffff'],
    [-(2 ** 31), '00000080'],
    [0x12345678, '78563412'],
  ])('writes %i as %s', (value, hex) => {
    expect(encoded((buf, at) => encodeInt32(buf, at, value))).toBe(hex);
    expect(decodeInt32(Buffer.from(hex, 'hex'), 0)).toBe(value);
  });

  it('keeps 64-bit values up to 2^53 in two’s complement', () => {
    for (const value of [Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, -(2 ** 32), 2 ** 32 - 1]) {
      const buf = Buffer.alloc(8);
      encodeInt64(buf, 0, value);
      expect(buf.readBigInt64LE()).toBe(BigInt(value));
      expect(decodeInt64(buf, 0)).toBe(value);
    }
  });

  it('refuses 2^53 and -2^63', () => {
    for (const value of [2n ** 53n, -(2n ** 63n)]) {
      const buf = Buffer.alloc(8);
      buf.writeBigInt64LE(value);
      expect(() => decodeInt64(buf, 0)).toThrow(ProtocolError);
    }
  });
});

describe('vstring', () => {
  it.each(varints.vstring)('writes the length $length as $header_hex', ({ length, header_hex }) => {
    expect(encoded((buf, at) => encodeVstringLength(buf, at, length))).toBe(header_hex);
  });
});
