import { describe, expect, it } from 'vitest';
import { HeldMemory } from '../../../src/session/held-memory.ts';

const MIB = 1024 * 1024;

function workers(count: number): HeldMemory[] {
  const memory = new SharedArrayBuffer(HeldMemory.BYTES);
  return Array.from({ length: count }, (_, worker) => new HeldMemory({ memory, worker }));
}

describe('what sessions hold', () => {
  it('is what those of all workers do', () => {
    const [ours, theirs] = workers(2);
    ours!.note([3 * MIB, MIB]);
    theirs!.note([5 * MIB]);
    expect([ours!.total, theirs!.total]).toEqual([9 * MIB, 9 * MIB]);
    ours!.note([]);
    expect(theirs!.total).toBe(5 * MIB);
  });

  it('is more than an Int32 of bytes', () => {
    const [ours] = workers(1);
    ours!.note([3 * 1024 * MIB, 1024 * MIB]);
    expect(ours!.total).toBe(4 * 1024 * MIB);
  });

  it('has its largest session on one worker', () => {
    const [ours, theirs] = workers(2);
    ours!.note([3 * MIB, 3 * MIB]);
    theirs!.note([5 * MIB]);
    expect([ours!.hasLargest, theirs!.hasLargest]).toEqual([false, true]);
  });

  it('goes with a worker that dies', () => {
    const [ours, theirs] = workers(2);
    theirs!.note([5 * MIB]);
    ours!.forget(1);
    expect([ours!.total, ours!.hasLargest]).toEqual([0, true]);
  });
});
