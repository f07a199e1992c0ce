/** XXH3 and the weak sum on the kernel against other implementations, at every border of a stripe, a block and the scratch space. */

import { randomBytes } from 'node:crypto';
import { createXXHash3, createXXHash128, type IHasher } from 'hash-wasm';
import { beforeAll, describe, expect, it } from 'vitest';
import { arena } from '../../../src/arena.ts';
import { acquireListSum, acquireTransferSums } from '../../../src/checksum/acquire.ts';
import { SCRATCH_BYTES } from '../../../src/checksum/kernel.ts';
import { loadChecksums } from '../../../src/checksum/pool.ts';
import { weakSum } from '../../../src/checksum/rolling.ts';
import { Xxh3ContentSum } from '../../../src/checksum/xxh3.ts';

const LENGTHS = [
  ...[0, 1, 16, 17, 128, 129, 239, 240, 241, 255, 256, 257, 319, 320, 321],
  ...[1023, 1024, 1025, 1087, 1088, 1089, 2047, 2048, 2049, 65_536, 100_003],
  ...[SCRATCH_BYTES - 1, SCRATCH_BYTES, SCRATCH_BYTES + 1, SCRATCH_BYTES + 1025, 300_000],
];
const NAMES = ['xxh3', 'xxh128'] as const;
const CREATORS = { xxh3: createXXHash3, xxh128: createXXHash128 };
const MOST = 300_000;

let inArena: Buffer;

beforeAll(async () => {
  await loadChecksums();
  inArena = arena.lend(MOST, 1)!;
});

/** What the wire carries: the integer with its low half first. */
function digestOf(hasher: IHasher, data: Uint8Array): string {
  hasher.init();
  return Buffer.from(hasher.update(data).digest('binary')).reverse().toString('hex');
}

/** The same bytes inside and outside of the kernel's memory. */
function twoPlaces(length: number): Buffer[] {
  const outside = randomBytes(length);
  outside.copy(inArena);
  return [outside, inArena.subarray(0, length)];
}

describe.each(NAMES)('%s', (name) => {
  it('of whole contents equals that of hash-wasm', async () => {
    const hasher = await CREATORS[name]();
    const sum = await acquireListSum(name);
    expect(sum).toBeInstanceOf(Xxh3ContentSum);
    for (const length of LENGTHS) {
      for (const data of twoPlaces(length)) {
        sum.reset();
        sum.update(data);
        expect({ length, digest: sum.digest().toString('hex') }).toEqual({ length, digest: digestOf(hasher, data) });
      }
    }
    sum.release();
  });

  it('does not depend on how contents are cut', async () => {
    const hasher = await CREATORS[name]();
    const sum = await acquireListSum(name);
    const [outside, inside] = twoPlaces(10_000) as [Buffer, Buffer];
    for (const data of [outside, inside]) {
      for (const step of [1, 63, 64, 65, 1000, 1023, 1024, 1025, 1087, 2048, 3333]) {
        for (const length of [200, 1024, 1025, 1040, 2048, 9999]) {
          sum.reset();
          for (let at = 0; at < length; at += step) sum.update(data.subarray(at, Math.min(length, at + step)));
          const digest = digestOf(hasher, data.subarray(0, length));
          expect({ step, length, digest: sum.digest().toString('hex') }).toEqual({ step, length, digest });
        }
      }
    }
    sum.release();
  });

  it.each([0, 1, -1, 2 ** 31 - 1, -(2 ** 31)])('of blocks with seed %i equals that of hash-wasm', async (seed) => {
    const hasher = await CREATORS[name](seed >>> 0, seed < 0 ? 0xffffffff : 0);
    const sums = await acquireTransferSums(name, seed);
    const blocks = await sums.blocks();
    for (const length of LENGTHS.filter((one) => one > 0)) {
      for (const data of twoPlaces(length)) {
        const digest = blocks.sum(data, 0).toString('hex');
        expect({ length, digest }).toEqual({ length, digest: digestOf(hasher, data) });
      }
    }
    sums.release();
  });
});

describe('sums at the same time', () => {
  it('do not disturb each other, and the next gets their memory', async () => {
    const hasher = await createXXHash128();
    const data = randomBytes(5000);
    const sums = await Promise.all(Array.from({ length: 20 }, () => acquireListSum('xxh128')));
    for (const [index, sum] of sums.entries()) sum.update(data.subarray(0, 1000 + index));
    for (const [index, sum] of sums.entries()) sum.update(data.subarray(1000 + index, 3000 + index));
    for (const [index, sum] of sums.entries()) {
      expect(sum.digest().toString('hex')).toBe(digestOf(hasher, data.subarray(0, 3000 + index)));
      sum.release();
    }
  });

  it('go on with hash-wasm where there is no memory left', async () => {
    const held = [];
    for (;;) {
      const sum = await acquireListSum('xxh128');
      held.push(sum);
      if (!(sum instanceof Xxh3ContentSum)) break;
    }
    const last = held.at(-1)!;
    last.update(Buffer.alloc(5000, 7));
    expect(last.digest().toString('hex')).toBe(digestOf(await createXXHash128(), Buffer.alloc(5000, 7)));
    for (const sum of held) sum.release();
  });
});

describe('weakSum', () => {
  it('is the same inside and outside of the arena', () => {
    for (const length of [0, 1, 15, 16, 17, 31, 32, 33, 700, 131_072, 299_999]) {
      const [outside, inside] = twoPlaces(length) as [Buffer, Buffer];
      expect({ length, sum: weakSum(inside, 0, length) }).toEqual({ length, sum: weakSum(outside, 0, length) });
    }
    inArena.fill(0x80);
    expect(weakSum(inArena, 3, 131_075)).toBe(weakSum(Buffer.alloc(131_072, 0x80), 0, 131_072));
  });
});
