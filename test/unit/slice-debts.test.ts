import { describe, expect, it, vi } from 'vitest';
import { clientTurn, connectionClosed, connectionTurn, TimeSlice } from '../../src/slice.ts';

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

describe('short work', () => {
  it('comes before the slices of others, every other time', async () => {
    const order: string[] = [];
    const computing = ['a', 'b'].map((client) => work(client, order, { turns: 2, ms: 0.1 }));
    const short = ['c', 'd'].map((client) => clientTurn(client).then(() => order.push(client)));
    await Promise.all([...computing, ...short]);
    expect(order.join(' ')).toBe('c a d b a b');
  });

  it('for a new connection is followed by what that costs beside, for others', async () => {
    const order: string[] = [];
    const connecting = async (): Promise<void> => {
      for (let turn = 0; turn < 2; turn++) {
        await connectionTurn('comes and goes');
        order.push('comes and goes');
        clock.nowMs += 2;
      }
    };
    await Promise.all([connecting(), work('modest', order, { turns: 12, ms: 0.3 })]);
    // Twice 0.4 ms.
    expect(order.lastIndexOf('comes and goes') - 1).toBe(3);
  });
});

describe('connections that are closed at once', () => {
  /** Turns of somebody else before the first one of `client`. */
  async function turnsBefore(client: string): Promise<number> {
    const order: string[] = [];
    await Promise.all([work(client, order, { turns: 1, ms: 0.1 }), work('modest', order, { turns: 30, ms: 0.25 })]);
    return order.indexOf(client);
  }

  it('are followed by twice what they cost, for others', async () => {
    for (let count = 0; count < 20; count++) connectionClosed('refused');
    expect(await turnsBefore('refused')).toBe(16);
  });

  it('are forgotten when too many others have such connections', async () => {
    for (let count = 0; count < 20; count++) connectionClosed('first');
    for (let other = 0; other < 256; other++) connectionClosed(`other ${other}`);
    expect(await turnsBefore('first')).toBe(0);
  });
});

describe('a client that nobody else has had a turn beside for as long as debts last', () => {
  /** Turns of the event loop that so many connections take, each of which leaves 0.8 ms to others. */
  async function turnsOfLoop(connections: number): Promise<number> {
    let count = 0;
    let isDone = false;
    const turn = (): void => {
      count++;
      // What the client itself keeps the event loop busy with.
      clock.nowMs += 0.2;
      if (!isDone) setImmediate(turn);
    };
    setImmediate(turn);
    for (let connection = 0; connection < connections; connection++) await connectionTurn('alone');
    isDone = true;
    return count;
  }

  it('waits for nothing', async () => {
    expect(await turnsOfLoop(50)).toBeGreaterThan(150);
    await turnsOfLoop(200);
    expect(await turnsOfLoop(50)).toBeLessThan(60);
  });
});
