import { describe, expect, it } from 'vitest';
import { TimeSlice } from '../../src/slice.ts';

describe('TimeSlice', () => {
  it('gives every task a turn, in order', async () => {
    const order: number[] = [];
    const tasks = [0, 1, 2].map(async (task) => {
      const slice = new TimeSlice();
      for (let turn = 0; turn < 5; turn++) {
        await slice.yield();
        order.push(task);
      }
    });
    await Promise.all(tasks);
    expect(order).toEqual(Array.from({ length: 5 }, () => [0, 1, 2]).flat());
  });

  it('gives every client a turn, however many tasks one of them has', async () => {
    const order: string[] = [];
    const work = async (client: string): Promise<void> => {
      const slice = new TimeSlice(client);
      for (let turn = 0; turn < 2; turn++) {
        await slice.yield();
        order.push(client);
      }
    };
    await Promise.all(['many', 'many', 'many', 'one'].map(work));
    expect(order.join(' ')).toBe('many one many one many many many many');
  });

  it('lets the event loop turn between two tasks, however many wait', async () => {
    let turns = 0;
    let isDone = false;
    const count = (): void => {
      turns++;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    let rounds = 0;
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const slice = new TimeSlice();
        for (let turn = 0; turn < 5; turn++) {
          await slice.yield();
          rounds++;
        }
      }),
    );
    isDone = true;
    expect(rounds).toBe(100);
    // One that counts runs in each turn, too.
    expect(turns).toBeGreaterThanOrEqual(99);
  });
});
