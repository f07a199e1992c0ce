import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { acquireTransferSums } from '../../../src/checksum/acquire.ts';
import { loadChecksums } from '../../../src/checksum/pool.ts';
import type { BlockDigest, SumVariant, TransferSums } from '../../../src/checksum/sums.ts';
import { Bug } from '../../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { TimeSlice } from '../../../src/slice.ts';
import { BlockSums } from '../../../src/transfer/block-sums.ts';
import { BlockMatcher } from '../../../src/transfer/match.ts';
import {
  clientSums,
  expand,
  joined,
  noise,
  type Op,
  type SearchResult,
  type SearchSetup,
  search,
} from './match-helpers.ts';

let sums: TransferSums;
beforeAll(async () => {
  await loadChecksums();
  sums = await acquireTransferSums('xxh128', 12_345);
});

/** Searches for `basis` in `file` with honest sums. */
async function delta(basis: Buffer, file: Buffer, blockLength: number, inPlace = false, piece?: number) {
  const blockSums = await clientSums(basis, sums, { blockLength, strongLength: 16 });
  const setup = { sums: blockSums, transferSums: sums, file, options: { inPlace } };
  return searchTwice(piece === undefined ? setup : { ...setup, piece });
}

/** Searches in ordinary memory and in that of the kernel, which must find the same. */
async function searchTwice(setup: SearchSetup): Promise<SearchResult> {
  const plain = await search(setup);
  const near = await search({ ...setup, inArena: true });
  expect(near.ops).toEqual(plain.ops);
  return plain;
}

const literalBytes = (ops: readonly Op[]): number =>
  ops.reduce((sum, op) => sum + (op[0] === 'lit' ? op[1].length : 0), 0);
const matches = (ops: readonly Op[]): number[] => ops.flatMap((op) => (op[0] === 'match' ? [op[1]] : []));

describe('a block search', () => {
  it('of an unchanged file yields every block in order and no literal', async () => {
    const file = noise(10_300, 1);
    const { ops } = await delta(file, file, 700);
    expect(ops).toEqual([...Array(15).keys()].map((i) => ['match', i]));
  });

  it('finds blocks again behind an insertion, a deletion and a change', async () => {
    const basis = noise(20_000, 2);
    const file = Buffer.concat([
      Buffer.from('new'),
      basis.subarray(0, 5000),
      basis.subarray(5100, 9000),
      noise(50, 3),
      basis.subarray(9050),
    ]);
    const { ops } = await delta(basis, file, 500);
    expect(expand(ops, basis, 500)).toEqual(file);
    expect(literalBytes(ops)).toBe(3 + 400 + 500);
  });

  it('uses the short last block at the end of the file', async () => {
    const basis = noise(1030, 4);
    const { ops } = await delta(basis, Buffer.concat([noise(10, 5), basis.subarray(1000)]), 100);
    expect(joined(ops)).toEqual([
      ['lit', noise(10, 5)],
      ['match', 10],
    ]);
  });

  it('uses the only block of a basis shorter than a block', async () => {
    const basis = Buffer.from('short');
    expect((await delta(basis, basis, 700)).ops).toEqual([['match', 0]]);
  });

  it('does not use the short last block elsewhere', async () => {
    const basis = noise(1030, 6);
    const file = Buffer.concat([basis.subarray(1000), noise(200, 7)]);
    expect(matches((await delta(basis, file, 100)).ops)).toEqual([]);
  });

  it('takes a remainder of a whole block for a full last block', async () => {
    const basis = noise(300, 8);
    const honest = await clientSums(basis, sums, { blockLength: 100 });
    const odd = new BlockSums({ ...honest.head, remainder: 100 }, { digestLength: 16, limits: DEFAULT_LIMITS });
    expect([odd.fullCount, odd.shortLength]).toEqual([3, 0]);
  });

  it('of an empty file yields nothing', async () => {
    expect((await delta(noise(100, 9), Buffer.alloc(0), 10)).ops).toEqual([]);
  });

  it('prefers the block after the last match among equal ones', async () => {
    const half = noise(1000, 10);
    const basis = Buffer.concat([half, half]);
    const file = Buffer.concat([half, half]);
    expect(matches((await delta(basis, file, 100)).ops)).toEqual([...Array(20).keys()]);
  });

  it('finds matches that span window pieces of any size', async () => {
    const basis = noise(5000, 11);
    const file = Buffer.concat([noise(33, 12), basis]);
    for (const piece of [1, 7, 99, 100, 101, 4096]) {
      const { ops } = await delta(basis, file, 100, false, piece);
      expect(joined(ops)).toEqual([['lit', noise(33, 12)], ...[...Array(50).keys()].map((i): Op => ['match', i])]);
    }
  });

  it('holds back less than a block when it asks for more', async () => {
    const { heldBack } = await delta(noise(50_000, 13), noise(900_000, 14), 700);
    expect(heldBack).toBeLessThanOrEqual(700);
  });

  it('hands out unmatched bytes in ranges of 32 KiB and a little more', async () => {
    const { ops } = await delta(noise(50_000, 13), noise(900_000, 14), 700);
    expect(Math.max(...ops.map((op) => (op[1] as Buffer).length))).toBeLessThanOrEqual(32_768 + 700);
  });

  it.each([1, 9, 700, 65_537, 131_072])(
    'finds blocks of %i bytes at any distance from each other',
    async (blockLength) => {
      const basis = noise(3 * blockLength, 15);
      const blocks = [2, 0, 1].map((i) => basis.subarray(i * blockLength, (i + 1) * blockLength));
      const file = Buffer.concat(blocks.flatMap((block, i) => [Buffer.alloc(8 * i + 3, 0x80), block, noise(i, 16)]));
      const { ops } = await delta(basis, file, blockLength);
      expect(expand(ops, basis, blockLength)).toEqual(file);
      expect(matches(ops)).toEqual(expect.arrayContaining([2, 0, 1]));
    },
  );

  it('refuses a window that lost unsent bytes', async () => {
    const blockSums = await clientSums(noise(1000, 1), sums, { blockLength: 100 });
    const slice = new TimeSlice();
    const sink = { literal() {}, match() {} };
    const options = {
      fileLength: 1000,
      inPlace: false,
      limits: DEFAULT_LIMITS,
      seed: 1,
      blockVariant: null,
      bitmap: null,
      slice,
    };
    const matcher = await BlockMatcher.create(blockSums, sums, sink, options);
    expect(() => matcher.search({ bytes: Buffer.alloc(10), start: 1, length: 9 }, slice)).toThrow(Bug);
  });
});

describe('any block search', () => {
  /** A file made of pieces of the basis and of new bytes, over a small alphabet so that blocks repeat. */
  const scenario = fc.record({
    basis: fc.uint8Array({ maxLength: 400, max: 3 }),
    edits: fc.array(fc.tuple(fc.nat(400), fc.nat(200), fc.uint8Array({ maxLength: 30, max: 3 })), { maxLength: 8 }),
    blockLength: fc.integer({ min: 1, max: 60 }),
    piece: fc.integer({ min: 1, max: 300 }),
    seed: fc.integer(),
  });
  const build = (basis: Buffer, edits: readonly [number, number, Uint8Array][]): Buffer =>
    Buffer.concat(edits.flatMap(([at, length, fresh]) => [basis.subarray(at, at + length), Buffer.from(fresh)]));

  it('expands to the file', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async ({ basis: bytes, edits, blockLength, piece, seed }) => {
        const basis = Buffer.from(bytes);
        const file = build(basis, edits);
        const blockSums = await clientSums(basis, sums, { blockLength, strongLength: 16 });
        const { ops } = await searchTwice({ sums: blockSums, transferSums: sums, file, piece, options: { seed } });
        expect(expand(ops, basis, blockLength)).toEqual(file);
      }),
      { numRuns: 300, seed: 20_261_121 },
    );
  });

  it('can be applied in place', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async ({ basis: bytes, edits, blockLength, piece, seed }) => {
        const basis = Buffer.from(bytes);
        const file = build(basis, edits);
        const blockSums = await clientSums(basis, sums, { blockLength, strongLength: 16 });
        const options = { seed, inPlace: true };
        const { ops } = await searchTwice({ sums: blockSums, transferSums: sums, file, piece, options });
        expect(applyInPlace(ops, basis, blockLength, file.length)).toEqual(file);
      }),
      { numRuns: 300, seed: 20_261_122 },
    );
  });

  /** A receiver that writes over its own basis. */
  function applyInPlace(ops: readonly Op[], basis: Buffer, blockLength: number, fileLength: number): Buffer {
    const disk = Buffer.alloc(Math.max(basis.length, fileLength));
    basis.copy(disk);
    let at = 0;
    for (const op of ops) {
      const from = op[0] === 'match' ? op[1] * blockLength : 0;
      const data =
        op[0] === 'lit' ? op[1] : Buffer.from(disk.subarray(from, Math.min(basis.length, from + blockLength)));
      at += data.copy(disk, at);
    }
    return disk.subarray(0, fileLength);
  }
});

describe('an in-place search', () => {
  it('does not use blocks behind the write position', async () => {
    const basis = noise(1000, 20);
    const { ops } = await delta(basis, Buffer.concat([noise(50, 21), basis]), 100, true);
    expect(matches(ops)).toEqual([]);
  });

  it('uses blocks ahead of the write position', async () => {
    const basis = noise(1000, 22);
    const { ops } = await delta(basis, basis.subarray(100), 100, true);
    expect(matches(ops)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('prefers the block that stays where it is', async () => {
    const basis = Buffer.alloc(1000, 7);
    const { ops } = await delta(basis, basis, 100, true);
    expect(matches(ops)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('goes on using a block that was left in its own place', async () => {
    const basis = noise(300, 23);
    const file = Buffer.concat([basis, basis.subarray(0, 100)]);
    expect(matches((await delta(basis, file, 100, true)).ops)).toEqual([0, 1, 2, 0]);
  });

  it('does not use the short last block once it is behind', async () => {
    const basis = noise(130, 24);
    const file = Buffer.concat([noise(200, 25), basis.subarray(100)]);
    expect(matches((await delta(basis, file, 100, true)).ops)).toEqual([]);
  });
});

describe('explicit md4', () => {
  it.each([0, 1])('finds blocks of a client that uses variant %i and remembers it', async (blockVariant) => {
    const md4 = await acquireTransferSums('md4', 99);
    const file = noise(1000, 30);
    const blockSums = await clientSums(file, md4, { blockLength: 100, blockVariant });
    const { ops, matcher } = await search({ sums: blockSums, transferSums: md4, file });
    expect(matches(ops)).toHaveLength(10);
    expect(matcher.blockVariant).toBe(blockVariant);
  });

  it('computes only the known variant after a hit', async () => {
    const md4 = await acquireTransferSums('md4', 99);
    const file = noise(1000, 31);
    const blockSums = await clientSums(file, md4, { blockLength: 100, blockVariant: 1 });
    const used: number[] = [];
    const blocks = await md4.blocks();
    const counting: BlockDigest = {
      ...blocks,
      sum(block, variant) {
        used.push(variant);
        return blocks.sum(block, variant);
      },
    };
    await search({ sums: blockSums, transferSums: { ...md4, blocks: async () => counting }, file });
    expect(used).toEqual([0, ...Array(10).fill(1)]);
  });
});

describe('strong sums of 16 bytes with an 8-byte digest', () => {
  it('are compared in their first 8 bytes', async () => {
    const xxh3 = await acquireTransferSums('xxh3', 5);
    const file = noise(500, 32);
    const blockSums = await clientSums(file, xxh3, { blockLength: 100, strongLength: 16 });
    expect(matches((await search({ sums: blockSums, transferSums: xxh3, file })).ops)).toEqual([0, 1, 2, 3, 4]);
  });
});

interface TokenVector {
  id: string;
  compress: string;
  checksum: string;
  seed: number;
  input: string;
  sum_head: { count: number; blength: number; s2length: number; remainder: number };
  ops: (['lit', string] | ['match', number] | ['match', number, number] | ['end'])[];
}

describe('captured sessions of rsync 3.5.0', () => {
  const path = join(import.meta.dirname, '../../vectors/token-streams.json');
  const { inputs, vectors } = JSON.parse(readFileSync(path, 'utf8')) as {
    inputs: Record<string, { basis: string | null; file: string }>;
    vectors: TokenVector[];
  };
  const plain = vectors.filter((vector) => vector.compress === 'none' && vector.sum_head.count > 0);

  it.each(plain)('$id: our search finds the same operations', async ({ input, sum_head, checksum, seed, ops }) => {
    const transferSums = await acquireTransferSums(checksum as SumVariant, seed);
    const basis = Buffer.from(inputs[input]!.basis!, 'hex');
    const file = Buffer.from(inputs[input]!.file, 'hex');
    const shape = { blockLength: sum_head.blength, strongLength: sum_head.s2length };
    const result = await search({ sums: await clientSums(basis, transferSums, shape), transferSums, file });
    const expected = ops.flatMap((op): Op[] => {
      if (op[0] === 'lit') return [['lit', Buffer.from(op[1], 'hex')]];
      return op[0] === 'match' ? [['match', op[1]]] : [];
    });
    expect(joined(result.ops)).toEqual(joined(expected));
    expect(expand(result.ops, basis, sum_head.blength)).toEqual(file);
  });
});
