/** What bounds for the whole process are made of, as several workers see the same memory. */

import { describe, expect, it } from 'vitest';
import { MAX_WORKERS, SharedBucket, SharedCounts, SharedLock } from '../../src/shared.ts';

/** `count` workers' views of one piece of memory. */
function areas(bytes: number, count = 2) {
  const memory = new SharedArrayBuffer(bytes);
  return Array.from({ length: count }, (_, worker) => ({ memory, worker }));
}

describe('SharedCounts', () => {
  it('bounds the sum over all workers, not the share of one', () => {
    const [first, second] = areas(SharedCounts.BYTES).map((area) => new SharedCounts(area));
    expect([first!.take(3), second!.take(3), first!.take(3)]).toEqual([true, true, true]);
    expect([first!.take(3), second!.take(3)]).toEqual([false, false]);
    expect([first!.total, second!.total, first!.of(0), first!.of(1)]).toEqual([3, 3, 2, 1]);
    second!.give();
    expect([first!.take(3), first!.of(0), first!.of(1)]).toEqual([true, 3, 0]);
  });

  it('gives back what a dead worker held', () => {
    const [alive, dead] = areas(SharedCounts.BYTES).map((area) => new SharedCounts(area));
    for (let i = 0; i < 5; i++) dead!.take(5);
    expect(alive!.take(5)).toBe(false);
    alive!.forget(1);
    expect([alive!.total, alive!.take(5)]).toEqual([0, true]);
  });

  it('has room for every worker', () => {
    const all = areas(SharedCounts.BYTES, MAX_WORKERS).map((area) => new SharedCounts(area));
    for (const counts of all) expect(counts.take(MAX_WORKERS)).toBe(true);
    expect(all[0]!.take(MAX_WORKERS)).toBe(false);
  });

  it('wakes who waits for a place when another worker gives one back', async () => {
    const [waiting, giving] = areas(SharedCounts.BYTES).map((area) => new SharedCounts(area));
    giving!.take(1);
    const change = waiting!.given.change(waiting!.given.changes, 600_000);
    giving!.give();
    await change;
    expect(waiting!.take(1)).toBe(true);
  });

  it('does not wait for a place that came back before', async () => {
    const [waiting, giving] = areas(SharedCounts.BYTES).map((area) => new SharedCounts(area));
    giving!.take(1);
    const { changes } = waiting!.given;
    giving!.give();
    await waiting!.given.change(changes, 600_000);
  });
});

describe('SharedLock', () => {
  it('is open again after what ran inside has thrown', () => {
    const [first, second] = areas(SharedLock.BYTES).map((area) => new SharedLock(area));
    expect(() =>
      first!.run(() => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(second!.run(() => 'entered')).toBe('entered');
  });

  it('is taken from a dead worker, and from no other', () => {
    const [alive, dead] = areas(SharedLock.BYTES);
    const lock = new SharedLock(alive!);
    const cell = new Int32Array(alive!.memory);
    Atomics.store(cell, 0, dead!.worker + 1);
    lock.forget(0);
    expect(Atomics.load(cell, 0)).toBe(dead!.worker + 1);
    lock.forget(dead!.worker);
    expect(lock.run(() => 'entered')).toBe('entered');
  });
});

describe('SharedBucket', () => {
  it('is full in the beginning, and one for all workers', () => {
    const [first, second] = areas(SharedBucket.BYTES).map((area) => new SharedBucket(1e-6, area));
    // A millionth of a unit a second: what was taken does not come back while the test runs.
    expect([first!.take(1e-6), second!.take(1e-6)]).toEqual([true, false]);
  });

  it('gives nothing to who asks for more than there is, and keeps what there is', () => {
    const bucket = new SharedBucket(10);
    expect([bucket.take(11), bucket.take(10)]).toEqual([false, true]);
  });
});
