import { describe, expect, it } from 'vitest';
import { Lz4Compressor } from '../../../src/compress/lz4.ts';
import { Bug } from '../../../src/errors.ts';

/** Inputs that the compressor was given for each record. */
function recordSizes(data: Buffer, grow: (size: number) => number): { input: number[]; output: number[] } {
  const input: number[] = [];
  const output: number[] = [];
  let last = 0;
  const compressor = new Lz4Compressor(
    (payload) => {
      input.push(last);
      output.push(payload.length);
    },
    (block) => {
      last = block.length;
      return new Uint8Array(grow(block.length));
    },
  );
  compressor.startFile();
  compressor.literal(data);
  compressor.flushLiterals();
  return { input, output };
}

describe('Lz4Compressor', () => {
  it('fills records with 16383 bytes of input', () => {
    expect(recordSizes(Buffer.alloc(40_000), (size) => size - 1).input).toEqual([16_383, 16_383, 7234]);
  });

  it('halves input that would grow beyond a record', () => {
    const { input, output } = recordSizes(Buffer.alloc(16_383), (size) => size + 34);
    expect(input).toEqual([8191, 8192]);
    expect(Math.max(...output)).toBeLessThanOrEqual(16_383);
  });

  it('emits nothing for an empty run', () => {
    expect(recordSizes(Buffer.alloc(0), (size) => size).input).toEqual([]);
  });

  it('fails rather than looping when nothing fits', () => {
    expect(() => recordSizes(Buffer.alloc(5), () => 20_000)).toThrow(Bug);
  });
});
