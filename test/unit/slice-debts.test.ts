import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { clientTurn, connectionClosed, connectionTurn, TimeSlice } from '../../src/slice.ts';

const clock = vi.hoisted(() => ({ nowMs: 0 }));
vi.mock('../../src/shared.ts', () => ({ monotonicMs: () => clock.nowMs }));

/** Takes slices of `ms` each, on a clock that hardly anything else moves. */
async function work(client: string, order: string[], { turns, ms }: { turns: number; ms: number }): Promise<void> {
  const slice = new TimeSlice(client);
  for (let turn = 0; turn < turns; turn++) {
    await slice.yield();
    order.push(client);
    clock.nowMs += ms;
  }
}

// A little time passes even when nobody works, or who waits for that would wait for ever.
let passing: NodeJS.Immediate;
const pass = (): void => {
  clock.nowMs += 0.0001;
  passing = setImmediate(pass);
};
beforeAll(pass);
afterAll(() => clearImmediate(passing));

/** Lets `ms` pass in each turn of the event loop until a task ends; gives the number of turns. */
async function whileTimePasses(ms: number, task: () => Promise<unknown>): Promise<number> {
  let count = 0;
  let isDone = false;
  const turn = (): void => {
    count++;
    clock.nowMs += ms;
    if (!isDone) setImmediate(turn);
  };
  setImmediate(turn);
  await task();
  isDone = true;
  return count;
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
      }
    };
    await Promise.all([connecting(), work('modest', order, { turns: 12, ms: 0.09 })]);
    // Twice 0.4 ms.
    expect(order.lastIndexOf('comes and goes') - 1).toBe(9);
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
  /** Turns of the event loop that so many connections take, each of which leaves 0.8 ms to others; it is busy with the client's own. */
  const turnsOfLoop = (connections: number): Promise<number> =>
    whileTimePasses(0.2, async () => {
      for (let connection = 0; connection < connections; connection++) await connectionTurn('alone');
    });

  it('waits for nothing', async () => {
    expect(await turnsOfLoop(50)).toBeGreaterThan(100);
    await turnsOfLoop(200);
    expect(await turnsOfLoop(50)).toBeLessThan(60);
  });
});

describe('a client that owes when nobody else has anything to do', () => {
  it('waits 2 ms for who had a turn before', async () => {
    const times: number[] = [];
    const take = async (client: string, ms: number): Promise<void> => {
      await new TimeSlice(client).yield();
      times.push(clock.nowMs);
      clock.nowMs += ms;
    };
    await whileTimePasses(0.01, async () => {
      await Promise.all([take('greedy', 20), take('modest', 0.1)]);
      await take('greedy', 1);
    });
    const waitMs = times[2]! - times[1]!;
    expect(waitMs).toBeGreaterThan(2);
    expect(waitMs).toBeLessThan(2.2);
  });
});
