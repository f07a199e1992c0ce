/** The pools of WebAssembly hashes: what is borrowed is nobody else's, and comes back. */

import { beforeAll, describe, expect, it } from 'vitest';
import { borrow, createSeeded, giveBack, isLoaded, loadChecksums, type WasmHash } from '../../../src/checksum/pool.ts';

const NAMES: readonly WasmHash[] = ['md4', 'xxh64', 'xxh3', 'xxh128'];

describe.each(NAMES)('the pool of %s', (name) => {
  beforeAll(() => loadChecksums());

  it('is loaded', () => {
    expect(isLoaded(name)).toBe(true);
  });

  it('gives two borrowers different instances, whose sums do not mix', async () => {
    const [one, other] = [await borrow(name), await borrow(name)];
    expect(one).not.toBe(other);
    for (const hasher of [one, other]) hasher.init();
    one.update('a');
    other.update('b');
    one.update('c');
    const sums = [one.digest('hex'), other.digest('hex')];
    one.init().update('ac');
    other.init().update('b');
    expect(sums).toEqual([one.digest('hex'), other.digest('hex')]);
    giveBack(name, one);
    giveBack(name, other);
  });

  it('lends out again what was given back', async () => {
    const hasher = await borrow(name);
    giveBack(name, hasher);
    expect(await borrow(name)).toBe(hasher);
    giveBack(name, hasher);
  });

  it('keeps 64 idle instances and drops the one more', async () => {
    const borrowed = await Promise.all(Array.from({ length: 65 }, () => borrow(name)));
    for (const hasher of borrowed) giveBack(name, hasher);
    const again = await Promise.all(Array.from({ length: 65 }, () => borrow(name)));
    expect(again.filter((hasher) => borrowed.includes(hasher))).toHaveLength(64);
    for (const hasher of again) giveBack(name, hasher);
  });
});

describe('a seeded instance', () => {
  it('takes a negative seed as 64 bits, and depends on it', async () => {
    const sum = async (seed: number): Promise<string> => {
      const hasher = await createSeeded('xxh64', seed);
      return hasher.init().update('content').digest('hex');
    };
    const sums = await Promise.all([1, -1, 0x7fff_ffff, -0x8000_0000].map(sum));
    expect(new Set(sums).size).toBe(4);
    expect(await sum(-1)).toBe(sums[1]);
  });
});
