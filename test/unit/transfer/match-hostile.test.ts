import { beforeAll, describe, expect, it } from 'vitest';
import { acquireTransferSums } from '../../../src/checksum/acquire.ts';
import { loadChecksums } from '../../../src/checksum/pool.ts';
import { weakSum } from '../../../src/checksum/rolling.ts';
import type { BlockDigest, TransferSums } from '../../../src/checksum/sums.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { BlockSums } from '../../../src/transfer/block-sums.ts';
import { hitsOf } from '../../helpers/hits.ts';
import { clientSums, noise, type Op, search } from './match-helpers.ts';

const MIB = 2 ** 20;
let real: TransferSums;
let hashedBytes = 0;
/** Counts what the search hashes. */
let counting: TransferSums;
beforeAll(async () => {
  await loadChecksums();
  real = await acquireTransferSums('xxh128', 1);
  const blocks = await real.blocks();
  const counted: BlockDigest = {
    ...blocks,
    sum(block, variant) {
      hashedBytes += block.length;
      return blocks.sum(block, variant);
    },
  };
  counting = { ...real, blocks: async () => counted };
});

/** Sums that a client made up: each block has weak sum `weak` and a strong sum of its own. */
function madeUp(count: number, blockLength: number, weak: (block: number) => number): BlockSums {
  const wire = Buffer.alloc(count * 20);
  for (let i = 0; i < count; i++) {
    wire.writeUInt32LE(weak(i) >>> 0, i * 20);
    wire.writeUInt32LE(i + 1, i * 20 + 4);
  }
  const head = { count, blockLength, strongLength: 16, remainder: 0 };
  const sums = new BlockSums(head, { digestLength: 16, limits: DEFAULT_LIMITS });
  sums.append(wire);
  return sums;
}

async function attack(sums: BlockSums, file: Buffer, limits = DEFAULT_LIMITS) {
  hashedBytes = 0;
  return search({ sums, transferSums: counting, file, options: { limits } });
}

const content = (ops: readonly Op[]): Buffer => Buffer.concat(ops.map((op) => op[1] as Buffer));

describe('hostile block sums', () => {
  it('with 40000 equal weak sums end in literals within the hash budget (CVE-2026-70453)', async () => {
    const file = Buffer.alloc(MIB);
    const { ops, matcher } = await attack(
      madeUp(40_000, 700, () => 0),
      file,
    );
    expect(content(ops).equals(file)).toBe(true);
    expect(matcher.gaveUp).toBe(true);
    expect(hashedBytes).toBeLessThanOrEqual(3 * MIB + 4 * MIB);
  });

  it('with one colliding weak sum hash no more than the budget (CVE-2026-119741)', async () => {
    const file = Buffer.alloc(MIB);
    const { ops, matcher } = await attack(
      madeUp(1, 131_072, () => 0),
      file,
    );
    expect(content(ops).equals(file)).toBe(true);
    expect(matcher.gaveUp).toBe(true);
    expect(hashedBytes).toBe(7 * MIB);
  });

  it('of one-byte blocks are charged for the calls, not only the bytes', async () => {
    const file = noise(200_000, 1);
    const { ops, matcher } = await attack(
      madeUp(256, 1, (i) => weakSum(Buffer.of(i), 0, 1)),
      file,
    );
    expect(content(ops).equals(file)).toBe(true);
    expect(matcher.gaveUp).toBe(true);
    expect(hashedBytes).toBe(Math.floor((3 * file.length + 4 * MIB) / 256));
  });

  it('stop the search exactly when the probe budget is used up', async () => {
    const file = Buffer.alloc(1000);
    const sums = madeUp(1, 10, () => 0);
    const plenty = { ...DEFAULT_LIMITS, matchHashPerByte: 1e6, matchProbesPerByte: 0 };
    // Two probes to find the block at the first offset, where it is expected; one more at each of the 990 others.
    const needed = 2 + 3 * 990;
    const gaveUp: boolean[] = [];
    const hits = (matchProbesBase: number) =>
      hitsOf('matchProbesPerByte', async () => {
        const { matcher } = await attack(sums, file, { ...plenty, matchProbesBase });
        gaveUp.push(matcher.gaveUp);
      });
    expect([await hits(needed + 1), await hits(needed), await hits(needed - 1)]).toEqual([0, 0, 1]);
    expect(gaveUp).toEqual([false, false, true]);
  });

  it('stop the search exactly when the hash budget is used up', async () => {
    const basis = noise(10_000, 2);
    const sums = await clientSums(basis, real, { blockLength: 1000, strongLength: 16 });
    const exact = { ...DEFAULT_LIMITS, matchHashPerByte: 0, matchHashBase: 5000 };
    const { ops, matcher } = await attack(sums, basis, exact);
    expect(ops.map((op) => op[0])).toEqual(['match', 'match', 'match', 'match', 'match', 'lit']);
    expect([matcher.gaveUp, hashedBytes]).toEqual([true, 5000]);
  });

  it('without strong bytes match nothing', async () => {
    const file = Buffer.alloc(5000);
    const head = { count: 7, blockLength: 700, strongLength: 0, remainder: 0 };
    const sums = new BlockSums(head, { digestLength: 16, limits: DEFAULT_LIMITS });
    sums.append(Buffer.alloc(28));
    const { ops } = await attack(sums, file);
    expect(content(ops).equals(file)).toBe(true);
    expect([sums.usable, hashedBytes]).toEqual([false, 0]);
  });

  it('do not slow down the honest blocks among them', async () => {
    const basis = noise(100_000, 3);
    const honest = await clientSums(basis, real, { blockLength: 1000, strongLength: 16 });
    const sums = madeUp(50_000, 1000, () => 0);
    expect(await matchedBlocks(honest, basis)).toBe(100);
    expect(await matchedBlocks(sums, basis)).toBe(0);
    expect(hashedBytes).toBe(0);
  });

  async function matchedBlocks(sums: BlockSums, file: Buffer): Promise<number> {
    const { ops } = await attack(sums, file);
    return ops.filter((op) => op[0] === 'match').length;
  }
});

describe('a file of equal blocks', () => {
  it('matches with one digest per block', async () => {
    const file = Buffer.alloc(MIB);
    const sums = await clientSums(file, real, { blockLength: 1024, strongLength: 16 });
    const { ops } = await attack(sums, file);
    expect(ops.filter((op) => op[0] === 'match')).toHaveLength(1024);
    expect(hashedBytes).toBe(MIB);
  });
});
