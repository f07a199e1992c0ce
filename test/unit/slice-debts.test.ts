import { describe, expect, it, vi } from 'vitest';
import { TimeSlice } from '../../src/slice.ts';

const clock = vi.hoisted(() => ({ nowMs: 0 }));
vi.mock('../../src/shared.ts', () => ({ monotonicMs: () => clock.nowMs }));

/** Takes slices of `ms` each, on a clock that only these tasks move. */
async function work(client: string, order: string[], { turns, ms }: { turns: number; ms: number }): Promise<void> {
  const slice = new TimeSlice(client);
  for (let turn = 0; turn < turns; turn++) {
    await slice.yield();
    order.push(client);
    clock.nowMs += ms;
  }
}

describe('a client that takes more than its slice of 2 ms', () => {
  it('waits until others have had twice as much', async () => {
    const order: string[] = [];
    await Promise.all([work('greedy', order, { turns: 2, ms: 20 }), work('modest', order, { turns: 100, ms: 1 })]);
    expect(order.lastIndexOf('greedy') - order.indexOf('greedy') - 1).toBe(36);
  });

  it('waits for 100 ms at most', async () => {
    const order: string[] = [];
    await Promise.all([work('greedy', order, { turns: 2, ms: 900 }), work('modest', order, { turns: 200, ms: 1 })]);
    expect(order.lastIndexOf('greedy') - order.indexOf('greedy') - 1).toBe(100);
  });

  it('goes on at once when nobody else wants to', async () => {
    const order: string[] = [];
    await work('greedy', order, { turns: 3, ms: 20 });
    expect(order).toHaveLength(3);
  });
});
