import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { acquireListSum, acquireTransferSums } from '../../../src/checksum/acquire.ts';
import { advertisedChecksums, parseChecksumChoice } from '../../../src/checksum/choose.ts';
import { loadChecksums } from '../../../src/checksum/pool.ts';
import { Bug } from '../../../src/errors.ts';
import { inputBytes, readVectors } from './vectors.ts';

const { inputs, vectors } = readVectors<{
  vectors: { alg: string; seed: number; input: string; digest_hex: string }[];
}>('block-sums.json');
const wasm = Object.getOwnPropertyDescriptor(globalThis, 'WebAssembly')!;

// As under --jitless, where the global does not exist.
beforeAll(async () => {
  Reflect.deleteProperty(globalThis, 'WebAssembly');
  await loadChecksums();
});
afterAll(() => Object.defineProperty(globalThis, 'WebAssembly', wasm));

describe('without WebAssembly', () => {
  it('xxHash is neither offered nor accepted', async () => {
    expect(advertisedChecksums()).toEqual(['md5', 'md4', 'sha1', 'none']);
    expect(() => parseChecksumChoice('xxh64')).toThrow('unknown checksum name: xxh64');
    await expect(acquireListSum('xxh3')).rejects.toThrow(Bug);
  });

  it.each([
    ['md4-old', 'md4-old', 0],
    ['md4', 'md4', 0],
    ['md4-prefix', 'md4', 1],
  ] as const)('block sums of %s still equal all vectors', async (alg, variant, blockVariant) => {
    for (const vector of vectors.filter((candidate) => candidate.alg === alg)) {
      const sums = await acquireTransferSums(variant, vector.seed);
      const blocks = await sums.blocks();
      expect(blocks.sum(inputBytes(inputs[vector.input]!), blockVariant).toString('hex')).toBe(vector.digest_hex);
    }
  });

  it('MD4 list sums still work', async () => {
    const sum = await acquireListSum('md4');
    sum.update(Buffer.from('b\n'));
    expect(sum.digest().toString('hex')).toBe('5d3f4af867fef0204cab6562741c7766');
  });
});
