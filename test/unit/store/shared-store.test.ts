import { describe, expect, it } from 'vitest';
import { type Claim, SharedStore } from '../../../src/store/shared-store.ts';

const PAGE_BYTES = 64;
const LONG_MS = 60_000;

const keyOf = (name: string): Buffer => Buffer.alloc(16, name);
const bytes = (length: number, fill: string): Buffer => Buffer.alloc(length, fill);

/** So many workers' ways to one store. */
function storesOf(pages: number, workers = 2): SharedStore[] {
  const size = { bytes: SharedStore.bytesFor(pages, PAGE_BYTES), pageBytes: PAGE_BYTES };
  const memory = new SharedArrayBuffer(size.bytes);
  return Array.from({ length: workers }, (_, worker) => new SharedStore(size, { memory, worker }));
}

function claimOf(store: SharedStore, name: string, tag = 1): Claim {
  const claimed = store.claim(keyOf(name), tag, LONG_MS);
  if (claimed.kind !== 'ours') throw new Error(`${name} is ${claimed.kind}`);
  return claimed.claim;
}

function put(store: SharedStore, name: string, blob: Buffer, { tag = 1, spares = false } = {}): boolean {
  return store.publish(claimOf(store, name, tag), [blob], spares);
}

function contentOf(store: SharedStore, name: string): Buffer | null {
  const blob = store.find(keyOf(name));
  if (blob === null) return null;
  const content = blob.read(0, blob.lengthBytes);
  blob.close();
  return content;
}

describe('a store', () => {
  it.each([1, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1, 10 * PAGE_BYTES])(
    'gives all workers a blob of %i bytes back',
    (length) => {
      const [ours, theirs] = storesOf(20) as [SharedStore, SharedStore];
      const blob = Buffer.from(Array.from({ length }, (_, i) => i % 251));
      expect(ours.publish(claimOf(ours, 'a'), [blob.subarray(0, 5), blob.subarray(5)], false)).toBe(true);
      expect([contentOf(ours, 'a'), contentOf(theirs, 'a'), contentOf(theirs, 'b')]).toEqual([blob, blob, null]);
    },
  );

  it('reads any part of a blob, in any order', () => {
    const [store] = storesOf(20) as [SharedStore];
    const blob = Buffer.from(Array.from({ length: 5 * PAGE_BYTES }, (_, i) => i % 251));
    put(store, 'a', blob);
    const held = store.find(keyOf('a'))!;
    for (const [from, to] of [
      [0, 1],
      [63, 65],
      [64, 128],
      [300, 320],
      [10, 200],
      [320, 320],
    ] as const) {
      expect(held.read(from, to - from)).toEqual(blob.subarray(from, to));
    }
    held.close();
  });

  it('counts what each worker has put in', () => {
    const [ours, theirs] = storesOf(20) as [SharedStore, SharedStore];
    put(ours, 'a', bytes(3 * PAGE_BYTES, 'a'));
    put(theirs, 'b', bytes(1, 'b'));
    expect([ours.bytes, theirs.bytes]).toEqual([3 * PAGE_BYTES, PAGE_BYTES]);
    theirs.drop(1);
    expect([ours.bytes, theirs.bytes]).toEqual([0, 0]);
  });

  it('has place for as much as it is large, whatever was in it before', () => {
    const [store] = storesOf(8) as [SharedStore];
    for (let round = 0; round < 50; round++) {
      const pages = 1 + ((round * 5) % 8);
      expect(put(store, `${round}`, bytes(pages * PAGE_BYTES, 'x'))).toBe(true);
      expect(contentOf(store, `${round}`)).toEqual(bytes(pages * PAGE_BYTES, 'x'));
      expect(store.bytes).toBeLessThanOrEqual(8 * PAGE_BYTES);
    }
    expect(put(store, 'too large', bytes(8 * PAGE_BYTES + 1, 'x'))).toBe(false);
    expect(store.claim(keyOf('too large'), 1, LONG_MS).kind).toBe('ours');
  });

  it('is that of the number that is still good, for all workers', () => {
    const [ours, theirs] = storesOf(8) as [SharedStore, SharedStore];
    expect(ours.agree(keyOf('n'), () => false, 1)).toBe(1);
    expect(theirs.agree(keyOf('n'), (value) => value === 1, 2)).toBe(1);
    expect(theirs.agree(keyOf('n'), () => false, 3)).toBe(3);
    expect(ours.agree(keyOf('n'), () => true, 4)).toBe(3);
  });
});

describe('room in a store', () => {
  it('is made by what was used longest ago', () => {
    const [store] = storesOf(3) as [SharedStore];
    for (const name of ['a', 'b', 'c']) put(store, name, bytes(1, name));
    contentOf(store, 'a');
    put(store, 'd', bytes(1, 'd'));
    expect(['a', 'b', 'c', 'd'].map((name) => contentOf(store, name) !== null)).toEqual([true, false, true, true]);
  });

  it('is not made by what somebody holds, who reads on when it is dropped', () => {
    const [ours, theirs] = storesOf(3) as [SharedStore, SharedStore];
    put(ours, 'a', bytes(2 * PAGE_BYTES, 'a'));
    const held = theirs.find(keyOf('a'))!;
    const again = theirs.find(keyOf('a'))!;
    expect(put(ours, 'b', bytes(2 * PAGE_BYTES, 'b'))).toBe(false);
    ours.drop(1);
    expect([contentOf(ours, 'a'), held.read(70, 3).toString()]).toEqual([null, 'aaa']);
    expect(put(ours, 'b', bytes(2 * PAGE_BYTES, 'b'))).toBe(false);
    held.close();
    held.close();
    expect(again.read(70, 3).toString()).toBe('aaa');
    again.close();
    expect(put(ours, 'b', bytes(2 * PAGE_BYTES, 'b'))).toBe(true);
  });

  it('is not made by the same tree where that is spared', () => {
    const [store] = storesOf(2) as [SharedStore];
    put(store, 'old', bytes(PAGE_BYTES, 'o'), { tag: 7, spares: true });
    put(store, 'a', bytes(PAGE_BYTES, 'a'), { spares: true });
    expect(put(store, 'b', bytes(PAGE_BYTES, 'b'), { spares: true })).toBe(true);
    expect(put(store, 'c', bytes(PAGE_BYTES, 'c'), { spares: true })).toBe(false);
    expect(['old', 'a', 'b'].map((name) => contentOf(store, name) !== null)).toEqual([false, true, true]);
  });

  it('is set aside for what grows', () => {
    const [ours, theirs] = storesOf(4) as [SharedStore, SharedStore];
    put(theirs, 'a', bytes(PAGE_BYTES, 'a'));
    expect([ours.reserve(0, 1), ours.reserve(1, 4 * PAGE_BYTES), contentOf(theirs, 'a')]).toEqual([true, true, null]);
    expect([ours.reserve(4 * PAGE_BYTES, 4 * PAGE_BYTES + 1), ours.bytes]).toEqual([false, 4 * PAGE_BYTES]);
    expect(put(theirs, 'b', bytes(1, 'b'))).toBe(false);
    ours.reserve(4 * PAGE_BYTES, 0);
    expect([ours.bytes, put(theirs, 'b', bytes(1, 'b'))]).toEqual([0, true]);
  });
});

describe('a claim', () => {
  it('makes others wait until the blob is there', async () => {
    const [ours, theirs] = storesOf(4) as [SharedStore, SharedStore];
    const claim = claimOf(ours, 'a');
    const busy = theirs.claim(keyOf('a'), 1, LONG_MS);
    if (busy.kind !== 'busy') throw new Error(busy.kind);
    const change = theirs.change(busy.slot, LONG_MS);
    ours.publish(claim, [bytes(1, 'a')], false);
    await change;
    const found = theirs.claim(keyOf('a'), 1, LONG_MS);
    expect(found.kind).toBe('found');
    if (found.kind === 'found') found.blob.close();
  });

  it('goes to the next when it is given up, when it is overdue and when its worker has died', async () => {
    const [ours, theirs] = storesOf(4) as [SharedStore, SharedStore];
    ours.abandon(claimOf(ours, 'a'));
    const first = claimOf(theirs, 'a');
    const second = ours.claim(keyOf('a'), 1, 0);
    expect(second.kind).toBe('ours');
    expect(theirs.publish(first, [bytes(1, 'x')], false)).toBe(false);
    theirs.forget(0);
    const third = claimOf(theirs, 'a');
    if (second.kind === 'ours') expect(ours.publish(second.claim, [bytes(1, 'x')], false)).toBe(false);
    expect([theirs.publish(third, [bytes(1, 'c')], false), contentOf(ours, 'a')]).toEqual([true, bytes(1, 'c')]);
  });

  it('can be waited for no longer than one likes', async () => {
    const [ours, theirs] = storesOf(4) as [SharedStore, SharedStore];
    claimOf(ours, 'a');
    const busy = theirs.claim(keyOf('a'), 1, LONG_MS);
    if (busy.kind === 'busy') await theirs.change(busy.slot, 1);
    expect(theirs.claim(keyOf('a'), 1, LONG_MS).kind).toBe('busy');
  });
});

describe('a worker that died', () => {
  it('holds, claims and reserves nothing any more', () => {
    const [ours, dead] = storesOf(4) as [SharedStore, SharedStore];
    put(ours, 'a', bytes(PAGE_BYTES, 'a'));
    dead.find(keyOf('a'));
    claimOf(dead, 'b');
    dead.reserve(0, PAGE_BYTES);
    expect(put(ours, 'large', bytes(4 * PAGE_BYTES, 'l'))).toBe(false);
    ours.forget(1);
    expect([dead.bytes, put(ours, 'large', bytes(4 * PAGE_BYTES, 'l'))]).toEqual([0, true]);
  });

  it('in the middle of a change leaves a store that keeps nothing, rather than one that is wrong', () => {
    const size = { bytes: SharedStore.bytesFor(4, PAGE_BYTES), pageBytes: PAGE_BYTES };
    const memory = new SharedArrayBuffer(size.bytes);
    const store = new SharedStore(size, { memory, worker: 0 });
    put(store, 'a', bytes(1, 'a'));
    // The lock, which worker 1 has.
    new Int32Array(memory)[0] = 2;
    store.forget(1);
    expect([contentOf(store, 'a'), store.claim(keyOf('b'), 1, 0).kind, store.reserve(0, 1)]).toEqual([
      null,
      'full',
      false,
    ]);
    expect(store.agree(keyOf('n'), () => true, 5)).toBe(5);
  });
});
