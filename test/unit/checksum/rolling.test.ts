import { describe, expect, it } from 'vitest';
import { weakSum } from '../../../src/checksum/rolling.ts';
import { inputBytes, readVectors } from './vectors.ts';

interface Rolling {
  whole: { input: string; weak_u32_hex: string }[];
  blocks: { input: string; block_length: number; weak_u32_hex: string[] }[];
  windows: { input: string; window: number; weak_u32_hex_at_each_offset: string[] }[];
}

const vectors = readVectors<Rolling>('rolling.json');
const hex = (value: number): string => value.toString(16).padStart(8, '0');
const bytesOf = (name: string): Buffer => inputBytes(vectors.inputs[name]!);

/** The definition, byte by byte. */
function slowWeakSum(data: Uint8Array): number {
  let s1 = 0;
  let s2 = 0;
  for (const byte of data) {
    s1 = (s1 + (byte < 128 ? byte : byte - 256)) & 0xffff;
    s2 = (s2 + s1) & 0xffff;
  }
  return ((s2 << 16) | s1) >>> 0;
}

describe('weakSum', () => {
  it.each(vectors.whole)('sums the whole input $input', ({ input, weak_u32_hex }) => {
    const data = bytesOf(input);
    expect(hex(weakSum(data, 0, data.length))).toBe(weak_u32_hex);
  });

  it.each(vectors.blocks)(
    'sums each block of $block_length bytes of $input',
    ({ input, block_length, weak_u32_hex }) => {
      const data = bytesOf(input);
      const sums = weak_u32_hex.map((_, i) =>
        hex(weakSum(data, i * block_length, Math.min(data.length, (i + 1) * block_length))),
      );
      expect(sums).toEqual(weak_u32_hex);
    },
  );

  it.each(vectors.windows)('sums each window of $window bytes of $input', ({ input, window, ...vector }) => {
    const data = bytesOf(input);
    const sums = vector.weak_u32_hex_at_each_offset.map((_, i) => hex(weakSum(data, i, i + window)));
    expect(sums).toEqual(vector.weak_u32_hex_at_each_offset);
  });

  it('agrees with the definition at every length and alignment around its step of 16 bytes', () => {
    const data = inputBytes({ lcg: [80, 7] });
    for (let start = 0; start < 17; start++) {
      for (let end = start; end <= data.length; end++) {
        expect(weakSum(data, start, end)).toBe(slowWeakSum(data.subarray(start, end)));
      }
    }
  });

  it('wraps both halves at 16 bits in the largest blocks', () => {
    const data = Buffer.alloc(131_072 + 5, 0x7f);
    expect(weakSum(data, 0, data.length)).toBe(slowWeakSum(data));
    data.fill(0x80);
    expect(weakSum(data, 0, data.length)).toBe(slowWeakSum(data));
  });

  it('respects the byte offset of a view into a larger buffer', () => {
    const data = inputBytes({ lcg: [100, 9] });
    const view = data.subarray(33, 77);
    expect(weakSum(view, 3, 40)).toBe(slowWeakSum(data.subarray(36, 73)));
  });

  it('moves one byte on by the documented formula', () => {
    const data = inputBytes({ lcg: [300, 11] });
    const n = 100;
    let sum = weakSum(data, 0, n);
    for (let at = 0; at + n < data.length; at++) {
      const out = data.readInt8(at);
      const s1 = (sum & 0xffff) + data.readInt8(at + n) - out;
      const s2 = (sum >>> 16) + s1 - n * out;
      sum = ((s1 & 0xffff) | (s2 << 16)) >>> 0;
      expect(sum).toBe(weakSum(data, at + 1, at + 1 + n));
    }
  });
});
