import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../../../src/errors.ts';
import { MAX_NDX_BYTES, NdxDecoder, NdxEncoder } from '../../../src/wire/ndx.ts';
import { hex, singleBytes } from '../support/bytes.ts';
import { readerOf } from '../support/streams.ts';
import { ndxVectors } from './vectors.ts';

function encodeAll(protocol: number, values: readonly number[]): string[] {
  const encoder = new NdxEncoder(protocol);
  return values.map((value) => {
    const buf = Buffer.alloc(MAX_NDX_BYTES);
    return buf.toString('hex', 0, encoder.encode(buf, 0, value));
  });
}

async function decodeAll(protocol: number, chunks: Buffer[], count: number): Promise<number[]> {
  const decoder = new NdxDecoder(protocol);
  const reader = readerOf(...chunks);
  const values: number[] = [];
  for (let i = 0; i < count; i++) values.push(await decoder.read(reader));
  expect(reader.ready).toBe(false);
  return values;
}

describe('from protocol 30', () => {
  it.each(ndxVectors)('writes: $name', ({ values, each_hex }) => {
    for (const protocol of [30, 31, 32]) expect(encodeAll(protocol, values)).toEqual(each_hex);
  });

  it.each(ndxVectors)('reads, whole and byte by byte: $name', async ({ values, all_hex }) => {
    const bytes = hex(all_hex);
    expect(await decodeAll(30, [bytes], values.length)).toEqual(values);
    expect(await decodeAll(32, singleBytes(bytes), values.length)).toEqual(values);
  });

  it('returns any sequence of 31-bit indexes and negatives unchanged', async () => {
    const index = fc.oneof(fc.integer({ min: 0, max: 2 ** 31 - 1 }), fc.integer({ min: -40_000, max: 70_000 }));
    await fc.assert(
      fc.asyncProperty(fc.array(index, { minLength: 1, maxLength: 30 }), async (values) => {
        const bytes = hex(encodeAll(31, values).join(''));
        expect(await decodeAll(31, [bytes], values.length)).toEqual(values);
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    ['fe ff ff ff ff | 01', 'one above 2^31-1'],
    ['fe ff ff ff ff | fe 7f ff', 'a large difference above 2^31-1'],
    ['ff fe ff ff ff ff | ff 01', 'a magnitude above 2^31-1'],
  ])('refuses %s: %s', async (bytes) => {
    const decoder = new NdxDecoder(30);
    const reader = readerOf(hex(bytes));
    await decoder.read(reader);
    await expect(decoder.read(reader)).rejects.toThrow(ProtocolError);
  });

  it('takes a zero byte behind the negative mark for a difference of zero', async () => {
    expect(await decodeAll(30, [hex('ff 00')], 1)).toEqual([-1]);
  });
});

describe('below protocol 30', () => {
  it.each(ndxVectors)('writes plain integers: $name', ({ values, protocol_lt_30_hex }) => {
    for (const protocol of [27, 28, 29]) expect(encodeAll(protocol, values).join('')).toBe(protocol_lt_30_hex);
  });

  it.each(ndxVectors)('reads plain integers byte by byte: $name', async ({ values, protocol_lt_30_hex }) => {
    expect(await decodeAll(29, singleBytes(hex(protocol_lt_30_hex)), values.length)).toEqual(values);
  });
});
