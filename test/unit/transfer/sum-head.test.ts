import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LimitError, ProtocolError } from '../../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { basisLength, echoedSumHead, parseSumHead, writeSumHead } from '../../../src/transfer/sum-head.ts';

const parse = (fields: number[], rules: { protocol?: number; digestLength?: number } = {}) => {
  const bytes = Buffer.alloc(16);
  fields.forEach((field, i) => {
    bytes.writeInt32LE(field | 0, 4 * i);
  });
  return parseSumHead(bytes, { protocol: 31, digestLength: 16, limits: DEFAULT_LIMITS, ...rules });
};

describe('parseSumHead', () => {
  it('reads four little-endian integers', () => {
    expect(parse([1000, 700, 2, 300])).toEqual({ count: 1000, blockLength: 700, strongLength: 2, remainder: 300 });
  });

  it('accepts the whole-file heads of openrsync and gokr-rsync', () => {
    expect(parse([0, 32768, 2, 0]).count).toBe(0);
    expect(parse([0, 0, 16, 0]).count).toBe(0);
  });

  it('accepts a strong length of 16 for 8-byte digests, as rsync 3.2.0 to 3.4.3 send it', () => {
    expect(parse([1, 700, 16, 0], { digestLength: 8 }).strongLength).toBe(16);
  });

  it('accepts 20 strong bytes only for a digest that has them', () => {
    expect(parse([1, 700, 20, 0], { digestLength: 20 }).strongLength).toBe(20);
    expect(() => parse([1, 700, 20, 0])).toThrow(ProtocolError);
  });

  it('accepts a remainder of a whole block', () => {
    expect(parse([2, 700, 2, 700]).remainder).toBe(700);
  });

  it.each([
    ['a negative count', [-1, 700, 2, 0]],
    ['a negative block length', [1, -700, 2, 0]],
    ['a zero block length with blocks (CVE-2026-53792)', [1, 0, 0, 0]],
    ['a block length above 131072', [1, 131_073, 16, 0]],
    ['a negative strong length', [1, 700, -1, 0]],
    ['a strong length above the digest', [1, 700, 17, 0]],
    ['a negative remainder', [1, 700, 16, -1]],
    ['a remainder above the block length', [1, 700, 16, 701]],
  ])('refuses %s', (_, fields) => {
    expect(() => parse(fields)).toThrow(ProtocolError);
  });

  it('allows blocks of 2^29 bytes below protocol 30', () => {
    expect(parse([1, 2 ** 29, 16, 0], { protocol: 29 }).blockLength).toBe(2 ** 29);
    expect(() => parse([1, 2 ** 29 + 1, 16, 0], { protocol: 29 })).toThrow(ProtocolError);
  });

  it('refuses the count that security.md B-16 names', () => {
    expect(parse([2 ** 30 - 1, 1, 16, 0]).count).toBe(2 ** 30 - 1);
    expect(() => parse([2 ** 30, 1, 16, 0])).toThrow(LimitError);
  });
});

describe('writeSumHead', () => {
  it('is the inverse of parseSumHead', () => {
    const head = { count: 3, blockLength: 131_072, strongLength: 16, remainder: 5 };
    const buffer = Buffer.alloc(20);
    expect(writeSumHead(buffer, 3, head)).toBe(19);
    const rules = { protocol: 30, digestLength: 16, limits: DEFAULT_LIMITS };
    expect(parseSumHead(buffer.subarray(3), rules)).toEqual(head);
  });
});

describe('echoedSumHead', () => {
  it('keeps what came in', () => {
    const head = parse([0, 32768, 2, 0]);
    expect(echoedSumHead(head, 16)).toBe(head);
  });

  it('reduces the strong length to the digest', () => {
    expect(echoedSumHead(parse([1, 700, 16, 0], { digestLength: 8 }), 8).strongLength).toBe(8);
  });
});

describe('basisLength', () => {
  const path = join(import.meta.dirname, '../../vectors/block-sizes.json');
  const { vectors } = JSON.parse(readFileSync(path, 'utf8')) as {
    vectors: { length: number; count: number; blength: number; s2length: number; remainder: number }[];
  };

  it.each(vectors)(
    'recovers $length from the head that rsync sends',
    ({ length, count, blength, s2length, remainder }) => {
      expect(basisLength({ count, blockLength: blength, strongLength: s2length, remainder })).toBe(length);
    },
  );
});
