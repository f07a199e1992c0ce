import { beforeAll, describe, expect, it } from 'vitest';
import { acquireListSum, acquireTransferSums } from '../../../src/checksum/acquire.ts';
import { loadChecksums } from '../../../src/checksum/pool.ts';
import type { ChecksumName, SumVariant } from '../../../src/checksum/sums.ts';
import { inputBytes, readVectors } from './vectors.ts';

interface BlockVector {
  alg: string;
  seed: number;
  input: string;
  digest_hex: string;
}
interface FileVector {
  alg: string;
  seed: number;
  input: string;
  wire_hex: string;
}

const blockFile = readVectors<{ vectors: BlockVector[] }>('block-sums.json');
const fileFile = readVectors<{ vectors: FileVector[] }>('file-sums.json');
// Protocols below 27, which we do not speak, had this variant.
const supported = (vector: { alg: string }): boolean => vector.alg !== 'md4-busted';
const algorithms = [...new Set(blockFile.vectors.filter(supported).map((vector) => vector.alg))];
const fileAlgorithms = [...new Set(fileFile.vectors.filter(supported).map((vector) => vector.alg))];

/** The vectors name the two positions of the seed under explicit md4 separately. */
function variantOf(alg: string): { variant: SumVariant; blockVariant: number } {
  if (alg === 'md4-prefix') return { variant: 'md4', blockVariant: 1 };
  return { variant: alg as SumVariant, blockVariant: 0 };
}

beforeAll(loadChecksums);

describe('block sums', () => {
  it.each(algorithms)('of %s equal all vectors', async (alg) => {
    const { variant, blockVariant } = variantOf(alg);
    for (const vector of blockFile.vectors.filter((candidate) => candidate.alg === alg)) {
      const sums = await acquireTransferSums(variant, vector.seed);
      const blocks = await sums.blocks();
      const data = inputBytes(blockFile.inputs[vector.input]!);
      expect(blocks.sum(data, blockVariant).toString('hex'), JSON.stringify(vector)).toBe(vector.digest_hex);
      sums.release();
    }
  });

  it.each(algorithms)('of %s are the same for blocks above and below the one-call bound', async (alg) => {
    const { variant, blockVariant } = variantOf(alg);
    const sums = await acquireTransferSums(variant, -2);
    const blocks = await sums.blocks();
    for (const length of [8191, 8192, 8193, 131_072]) {
      const block = inputBytes({ lcg: [length, 3] });
      const first = blocks.sum(block, blockVariant).toString('hex');
      blocks.sum(Buffer.from('other'), blockVariant);
      expect(blocks.sum(block, blockVariant).toString('hex')).toBe(first);
      expect(first).toHaveLength(2 * sums.digestLength);
    }
    sums.release();
  });

  it('have two variants for explicit md4 with a seed and one otherwise', async () => {
    const variants = async (variant: SumVariant, seed: number): Promise<number> => {
      const sums = await acquireTransferSums(variant, seed);
      const { variants } = await sums.blocks();
      sums.release();
      return variants;
    };
    expect(await variants('md4', 5)).toBe(2);
    expect(await variants('md4', 0)).toBe(1);
    expect(await variants('md4-old', 5)).toBe(1);
    expect(await variants('xxh128', 5)).toBe(1);
  });

  it('may be computed in the middle of a whole-file sum', async () => {
    for (const variant of ['md4', 'md4-old', 'md5', 'xxh64', 'xxh3', 'xxh128', 'sha1'] as const) {
      const sums = await acquireTransferSums(variant, 77);
      sums.file.update(Buffer.from('Hello, '));
      (await sums.blocks()).sum(Buffer.from('noise'), 0);
      sums.file.update(Buffer.from('world'));
      const mixed = Buffer.from(sums.file.digest());
      sums.file.reset();
      sums.file.update(Buffer.from('Hello, world'));
      expect(sums.file.digest()).toEqual(mixed);
      sums.release();
    }
  });
});

describe('whole-file sums', () => {
  it.each(fileAlgorithms)('of %s equal all vectors, in pieces and after a reset', async (alg) => {
    for (const vector of fileFile.vectors.filter((candidate) => candidate.alg === alg)) {
      const sums = await acquireTransferSums(variantOf(alg).variant, vector.seed);
      const data = inputBytes(fileFile.inputs[vector.input]!);
      sums.file.update(Buffer.from('left over from another file'));
      sums.file.reset();
      for (let at = 0; at < data.length; at += 333) sums.file.update(data.subarray(at, at + 333));
      expect(sums.file.digest().toString('hex'), JSON.stringify(vector)).toBe(vector.wire_hex);
      expect(sums.digestLength).toBe(vector.wire_hex.length / 2);
      sums.release();
    }
  });

  it('do not leak state through the pool', async () => {
    const first = await acquireTransferSums('xxh128', 1);
    first.file.update(Buffer.from('abc'));
    first.release();
    const second = await acquireTransferSums('xxh128', 1);
    expect(second.file.digest().toString('hex')).toBe(emptyXxh128());
    second.release();
  });
});

/** Whole-file vector of the empty input. */
function emptyXxh128(): string {
  return fileFile.vectors.find((vector) => vector.alg === 'xxh128' && vector.input === 'empty')!.wire_hex;
}

describe('acquireListSum', () => {
  // 2-file-list.md 2.7 gives these for the content "b\n".
  const expected: [ChecksumName, string][] = [
    ['md4', '5d3f4af867fef0204cab6562741c7766'],
    ['xxh128', '4aa8385890ef195b85cf3109e533d4cc'],
    ['xxh64', '22df5a407479c3af'],
    ['xxh3', '4aa8385890ef195b'],
  ];

  it.each(expected)('hashes content without a seed with %s', async (name, digest) => {
    const sum = await acquireListSum(name);
    sum.update(Buffer.from('b\n'));
    expect(sum.digest().toString('hex')).toBe(digest);
    sum.release();
  });

  it('refuses none', async () => {
    await expect(acquireListSum('none')).rejects.toThrow('none');
  });
});
