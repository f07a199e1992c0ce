import { describe, expect, it } from 'vitest';
import { Bug } from '../../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { TimeSlice } from '../../../src/slice.ts';
import { BlockIndex } from '../../../src/transfer/block-index.ts';
import { BlockSums } from '../../../src/transfer/block-sums.ts';

const make = (
  head: { count: number; blockLength?: number; strongLength?: number; remainder?: number },
  digestLength = 16,
) =>
  new BlockSums({ blockLength: 700, strongLength: 2, remainder: 0, ...head }, { digestLength, limits: DEFAULT_LIMITS });

/** Records with weak sum i * 3 - 5 and strong sum i. */
function wireOf(count: number): Buffer {
  const wire = Buffer.alloc(count * 6);
  for (let i = 0; i < count; i++) {
    wire.writeInt32LE(i * 3 - 5, i * 6);
    wire.writeUInt16LE(i & 0xffff, i * 6 + 4);
  }
  return wire;
}

describe('BlockSums', () => {
  it('takes bytes cut anywhere', () => {
    const wire = wireOf(5);
    for (let cut = 0; cut <= wire.length; cut++) {
      const sums = make({ count: 5 });
      sums.append(wire.subarray(0, cut));
      expect(sums.remainingBytes).toBe(wire.length - cut);
      sums.append(wire.subarray(cut));
      expect([0, 1, 2, 3, 4].map((i) => sums.weakAt(i))).toEqual([-5, -2, 1, 4, 7]);
    }
  });

  it('keeps sums across its storage chunks', () => {
    const sums = make({ count: 10_000 });
    const wire = wireOf(10_000);
    for (let at = 0; at < wire.length; at += 5001) sums.append(wire.subarray(at, at + 5001));
    const far = [0, 4095, 4096, 8191, 8192, 9999];
    expect(far.map((i) => sums.weakAt(i))).toEqual(far.map((i) => i * 3 - 5));
    expect(far.every((i) => sums.strongEquals(i, Buffer.of(i & 255, i >> 8, 99)))).toBe(true);
    expect(sums.strongEquals(4096, Buffer.of(1, 16))).toBe(false);
    expect([sums.sameStrong(4096, 4096), sums.sameStrong(4095, 4096)]).toEqual([true, false]);
  });

  it('refuses more bytes than announced', () => {
    expect(() => make({ count: 1 }).append(Buffer.alloc(7))).toThrow(Bug);
  });

  it('counts the short last block apart', () => {
    const short = make({ count: 3, remainder: 5 });
    expect([short.fullCount, short.shortLength]).toEqual([2, 5]);
    expect(make({ count: 3 }).fullCount).toBe(3);
    expect(make({ count: 0, remainder: 5 }).fullCount).toBe(0);
  });

  it('uses memory for received bytes only', () => {
    const before = process.memoryUsage().arrayBuffers;
    const sums = make({ count: 2_000_000, strongLength: 16 });
    sums.append(Buffer.alloc(1000));
    expect(sums.usable).toBe(true);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
  });

  it.each([
    ['more than 2 million sums', { count: 2_000_001 }],
    ['more than 64 MiB of strong sums', { count: 2_000_000, strongLength: 34 }],
    ['no strong bytes', { count: 5, strongLength: 0 }],
    ['blocks above 1 MiB', { count: 5, blockLength: 2 ** 20 + 1 }],
    ['no blocks', { count: 0 }],
  ])('are unusable with %s, yet consume their bytes', (_, head) => {
    const sums = make(head);
    expect(sums.usable).toBe(false);
    const announced = sums.remainingBytes;
    sums.append(Buffer.alloc(Math.min(announced, 100)));
    expect(sums.remainingBytes).toBe(announced - Math.min(announced, 100));
  });

  it('are unusable with the checksum none', () => {
    expect(make({ count: 5, strongLength: 1 }, 1).usable).toBe(false);
  });

  it('count bytes exactly at the largest legal head', () => {
    expect(make({ count: 2 ** 30 - 1, strongLength: 20 }, 20).remainingBytes).toBe((2 ** 30 - 1) * 24);
  });
});

describe('BlockIndex', () => {
  /** Index of blocks given as weak and strong number pairs. */
  async function indexOf(pairs: readonly [number, number][]): Promise<BlockIndex> {
    const wire = Buffer.alloc(pairs.length * 6);
    pairs.forEach(([weak, strong], i) => {
      wire.writeInt32LE(weak, i * 6);
      wire.writeUInt16LE(strong, i * 6 + 4);
    });
    const sums = make({ count: pairs.length });
    sums.append(wire);
    return BlockIndex.build(sums, { candidates: 8, seed: 0x12345678, bitmap: null }, new TimeSlice());
  }

  const chain = (index: BlockIndex, weak: number): number[] => {
    const entries = [];
    for (let entry = index.find(weak); entry >= 0; entry = index.findFrom(index.next[entry]!, weak))
      entries.push(entry);
    return entries;
  };

  it('finds every weak sum and no other', async () => {
    const index = await indexOf([...Array(3000).keys()].map((i) => [i * 7 - 9000, i]));
    expect([...Array(3000).keys()].every((i) => index.find(i * 7 - 9000) === i)).toBe(true);
    expect(index.find(1_000_000)).toBe(-1);
  });

  it('sets the bitmap bit of every entry', async () => {
    const index = await indexOf([...Array(500).keys()].map((i) => [i * 65_537, i]));
    const passes = (weak: number): boolean => {
      const hash = Math.imul(weak, index.multiplier);
      return ((index.bits[hash >>> index.wordShift]! >>> (hash >>> 8)) & 1) === 1;
    };
    expect([...Array(500).keys()].every((i) => passes(i * 65_537))).toBe(true);
  });

  it('merges blocks with equal sums and remembers the last', async () => {
    const index = await indexOf([
      [1, 1],
      [2, 2],
      [1, 1],
      [1, 1],
      [2, 3],
    ]);
    expect(chain(index, 1)).toEqual([0]);
    expect(index.last[0]).toBe(3);
    expect(chain(index, 2).sort()).toEqual([1, 4]);
  });

  it('keeps at most 8 blocks of one weak sum', async () => {
    const index = await indexOf([...Array(5000).keys()].map((i) => [77, i]));
    expect(chain(index, 77)).toHaveLength(8);
  });
});
