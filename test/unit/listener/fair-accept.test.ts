import { describe, expect, it } from 'vitest';
import { FairAccept } from '../../../src/listener/fair-accept.ts';
import { MAX_WORKERS } from '../../../src/shared.ts';

function workers(count: number) {
  const memory = new SharedArrayBuffer(FairAccept.BYTES);
  const cells = new Int32Array(memory, 4, MAX_WORKERS);
  const all = Array.from({ length: count }, (_, worker) => new FairAccept({ memory, worker }));
  return { all, sessions: () => [...cells].slice(0, count).map((cell) => cell - 1) };
}

describe('FairAccept', () => {
  it('counts the sessions of each worker that accepts', () => {
    const { all, sessions } = workers(2);
    const [first, second] = all;
    for (const one of all) one.open();
    first!.began();
    second!.began();
    second!.began();
    first!.ended();
    expect(sessions()).toEqual([0, 2]);
  });

  it('counts nothing for a worker that has not opened, or has closed', () => {
    const { all, sessions } = workers(2);
    const [first, second] = all;
    first!.began();
    second!.open();
    second!.began();
    second!.close();
    second!.ended();
    expect(sessions()).toEqual([-1, -1]);
  });

  it('keeps its count over a second opening', () => {
    const { all, sessions } = workers(1);
    all[0]!.open();
    all[0]!.began();
    all[0]!.open();
    expect(sessions()).toEqual([1]);
  });

  it('forgets a worker that died: nobody waits for it any more', () => {
    const { all, sessions } = workers(2);
    for (const one of all) one.open();
    all[0]!.forget(1);
    for (let i = 0; i < 100; i++) all[0]!.began();
    expect(sessions()).toEqual([100, -1]);
  });

  it('waits for others a bounded time only, also when none of them ever accepts', () => {
    const { all, sessions } = workers(2);
    for (const one of all) one.open();
    for (let i = 0; i < 1000; i++) all[0]!.began();
    expect(sessions()).toEqual([1000, 0]);
  });
});
