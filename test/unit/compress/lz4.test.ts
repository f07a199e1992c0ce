import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { MAX_RECORD } from '../../../src/compress/compressor.ts';
import { Lz4Compressor, lz4BlockFunction } from '../../../src/compress/lz4.ts';
import { INPUT_BYTES } from '../../../src/compress/lz4-code.ts';
import { Bug } from '../../../src/errors.ts';
import { textOf } from '../../helpers/content.ts';
import { decodeLz4Block } from '../transfer/token-decoder.ts';

const compress = lz4BlockFunction()!;

/** Records of one run that is handed over in parts. */
function recordsOf(...parts: readonly Uint8Array[]): Buffer[] {
  const records: Buffer[] = [];
  const compressor = new Lz4Compressor((payload) => records.push(Buffer.from(payload)), compress);
  compressor.startFile();
  for (const part of parts) compressor.literal(part);
  compressor.flushLiterals();
  return records;
}

const decoded = (records: readonly Buffer[]): Buffer => Buffer.concat(records.map(decodeLz4Block));

/** How many literals end a short block, and how far before its end the last match begins; null without a match. */
function endOf(block: Buffer): { literals: number; matchFromEnd: number } | null {
  let match = 0;
  for (let at = 0; ; ) {
    const token = block[at++]!;
    const literals = token >> 4;
    if (at + literals >= block.length) return match === 0 ? null : { literals, matchFromEnd: match + literals };
    at += literals + 2;
    match = (token & 15) + 4;
    if (match === 19) match += block[at++]!;
  }
}

describe('the LZ4 block function', () => {
  it('has one encoding for one byte, and finds what repeats', () => {
    expect(Buffer.from(compress(Buffer.from('a')).block).toString('hex')).toBe('1061');
    const { block, taken } = compress(Buffer.alloc(1000, 'abcd'));
    expect([decodeLz4Block(Buffer.from(block)), taken]).toEqual([Buffer.alloc(1000, 'abcd'), 1000]);
    expect(block.length).toBeLessThan(30);
  });

  it('carries data of any alphabet and length up to the longest input', () => {
    const data = fc
      .tuple(
        fc.integer({ min: 1, max: 256 }),
        fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: INPUT_BYTES })),
      )
      .map(([alphabet, length]) => randomBytes(length).map((byte) => byte % alphabet));
    fc.assert(
      fc.property(data, (bytes) => {
        const { block, taken } = compress(bytes);
        expect(block.length).toBeLessThanOrEqual(MAX_RECORD);
        expect(decodeLz4Block(Buffer.from(block)).equals(Buffer.from(bytes.subarray(0, taken)))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('ends blocks as the format wants it: five literals, and no match in the last twelve bytes', () => {
    for (let length = 13; length < 80; length++) {
      const end = endOf(Buffer.from(compress(Buffer.alloc(length, 'ab')).block));
      if (end === null) continue;
      expect(end.literals).toBeGreaterThanOrEqual(5);
      expect(end.matchFromEnd).toBeGreaterThanOrEqual(12);
    }
  });

  it('refuses no input and more than the longest', () => {
    expect(() => compress(Buffer.alloc(0))).toThrow(Bug);
    expect(() => compress(Buffer.alloc(INPUT_BYTES + 1))).toThrow(Bug);
  });
});

describe('Lz4Compressor', () => {
  it('fills records, whatever the parts it gets', () => {
    const text = textOf('lz4', 300_000);
    const whole = recordsOf(text);
    const parts = recordsOf(text.subarray(0, 1), text.subarray(1, 40_000), text.subarray(40_000));
    expect(decoded(whole).equals(text)).toBe(true);
    expect(decoded(parts).equals(text)).toBe(true);
    expect(whole.length).toBeLessThan(text.length / 25_000);
    for (const record of [...whole, ...parts]) expect(record.length).toBeLessThanOrEqual(MAX_RECORD);
  });

  it('puts as much of random data into a record as fits', () => {
    const noise = randomBytes(200_000);
    const records = recordsOf(noise);
    expect(decoded(records).equals(noise)).toBe(true);
    for (const record of records.slice(0, -1)) expect(record.length).toBeGreaterThan(MAX_RECORD - 200);
  });

  it('emits nothing for an empty run', () => {
    expect(recordsOf(Buffer.alloc(0))).toEqual([]);
  });

  it('fails rather than looping when nothing is taken', () => {
    const compressor = new Lz4Compressor(
      () => {},
      () => ({ block: new Uint8Array(1), taken: 0 }),
    );
    compressor.literal(Buffer.from('x'));
    expect(() => compressor.flushLiterals()).toThrow(Bug);
  });
});

describe('without WebAssembly', () => {
  const wasm = Object.getOwnPropertyDescriptor(globalThis, 'WebAssembly')!;
  afterAll(() => Object.defineProperty(globalThis, 'WebAssembly', wasm));

  it('there is no lz4', () => {
    Reflect.deleteProperty(globalThis, 'WebAssembly');
    expect(lz4BlockFunction()).toBeNull();
  });
});
