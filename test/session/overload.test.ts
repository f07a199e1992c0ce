/** A daemon whose heap counts as full: sessions are told to go, one after the other, those that hold much first, else the newest. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasRoot } from '../setup/clients.ts';
import type { Peer } from './support/peer.ts';
import { BIG_SIZE, judge, NDX, openStage, type Stage } from './support/stage.ts';
import { data, enter, frame, ItemWriter, NO_MORE_FILTERS, pullArguments, sumHead, TRANSFER } from './support/wire.ts';

/** Preloaded: from the first SIGUSR2 on, the heap counts as full. */
const FULL_ON_SIGNAL = `
import v8 from 'node:v8';
import { syncBuiltinESMExports } from 'node:module';
const { getHeapStatistics } = v8;
let isFull = false;
process.on('SIGUSR2', () => { isFull = true; });
v8.getHeapStatistics = () => {
  const real = getHeapStatistics();
  return isFull ? { ...real, used_heap_size: real.heap_size_limit } : real;
};
syncBuiltinESMExports();`;

const upToList = (): Buffer => Buffer.concat([enter('pub'), pullArguments(), data(31, NO_MORE_FILTERS)]);

const SUM_BYTES = 4 + 16;

/** Asks for a file with `count` block sums and sends all but the last; what has not arrived then is at most what the kernel holds. */
async function holdSums(peer: Peer, count: number): Promise<void> {
  peer.send(upToList(), data(31, new ItemWriter().item(NDX.big, TRANSFER, sumHead(count, 700, 16, 0))));
  const sums = Buffer.alloc(1 << 20);
  for (let left = (count - 1) * SUM_BYTES; left > 0; left -= sums.length) {
    expect(await peer.push(frame(0, sums.subarray(0, Math.min(left, sums.length))))).toBe(true);
  }
}

describe.skipIf(!hasRoot())('a daemon without memory left', { timeout: 30_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({
      globals: { 'limits.heapPercent': 1, timeout: 60 },
      // The limit that the percentage is taken of: the program itself needs more than a hundredth.
      nodeArgs: ['--max-old-space-size=256'],
    });
  });
  afterAll(() => stage.close());

  it('ends the newest session, says why, and goes on', async () => {
    const older = await stage.connect();
    older.send(enter('pub'), pullArguments(), data(31, NO_MORE_FILTERS));
    await older.untilText('@RSYNCD: OK\n');
    const newer = await stage.connect();
    newer.send(enter('pub'), pullArguments(), data(31, NO_MORE_FILTERS));
    const tells = /limit heapPercent reached: the server has too much to do, try again later\n$/;
    const played = await stage.finish(newer);
    judge(played, 31, { outcome: 'limit:heapPercent', tells, exit: 12 });
    const line = await stage.sessionEnd(older);
    expect(line.outcome).toBe('limit:heapPercent');
    expect(Number(line.seconds)).toBeGreaterThan(Number(played.line.seconds));
  });
});

describe.skipIf(!hasRoot())('a daemon whose memory one session has filled', { timeout: 60_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({
      globals: { timeout: 60 },
      nodeArgs: ['--import', `data:text/javascript,${encodeURIComponent(FULL_ON_SIGNAL)}`],
    });
  });
  afterAll(() => stage.close());

  it('ends that session first, not the newer ones', async () => {
    const holder = await stage.connect();
    await holdSums(holder, 1_500_000);
    const newer = await stage.connect();
    newer.send(upToList());
    await newer.untilText('nested');
    stage.server.kill('SIGUSR2');
    const first = await stage.server.waitFor(({ msg }) => msg === 'session ended');
    expect([first.port, first.outcome]).toEqual([holder.port, 'limit:heapPercent']);
    // With nobody left who holds much, the newest goes.
    expect((await stage.sessionEnd(newer)).outcome).toBe('limit:heapPercent');
  });
});

describe.skipIf(!hasRoot())('two workers whose sessions hold too much outside of the heap', { timeout: 60_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    // About 77 MiB: the sums below count double, for their index, and come to 69 and 34.
    stage = await openStage({
      globals: { workers: 2, timeout: 60, 'limits.heldPercent': 22 },
      nodeArgs: ['--max-old-space-size=256'],
    });
  });
  afterAll(() => stage.close());

  it('end the largest one, on whichever worker it is, and serve the other to its end', async () => {
    const largest = await stage.connect();
    await holdSums(largest, 1_800_000);
    const other = await stage.connect();
    await holdSums(other, 900_000);
    const first = await stage.server.waitFor(({ msg }) => msg === 'session ended');
    expect([first.port, first.outcome]).toEqual([largest.port, 'limit:heldPercent']);
    const tells = /limit heldPercent reached: the server has too much to do, try again later\n$/;
    judge(await stage.finish(largest), 31, { outcome: 'limit:heldPercent', tells, exit: 12 });
    other.send(frame(0, Buffer.alloc(SUM_BYTES)));
    await other.until((received) => received.length > BIG_SIZE);
    other.close();
    expect((await stage.sessionEnd(other)).outcome).toBe('peer-gone');
  });
});
