/** Clients that go away in the middle of what they asked for: nothing is computed for nobody. */

import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasRoot } from '../setup/clients.ts';
import { openStage, type Stage } from './support/stage.ts';
import {
  data,
  enter,
  ItemWriter,
  NO_MORE_FILTERS,
  pullArguments,
  sumHead,
  TRANSFER,
  WHOLE_FILE,
} from './support/wire.ts';

/** Reading it takes a minute and more; it has no content on the disk. */
const HUGE = 64 * 2 ** 30;

/** Lists of names that stand for a pull of `huge` alone. */
function pullHuge(options: readonly string[], ...requests: readonly Uint8Array[]): Buffer {
  return Buffer.concat([
    enter('pub'),
    pullArguments(options, 31, ['pub/huge']),
    data(31, NO_MORE_FILTERS),
    ...requests.map((request) => data(31, request)),
  ]);
}

const request = (...parts: readonly Uint8Array[]): Buffer => new ItemWriter().item(0, TRANSFER, ...parts);
/** A block that is nowhere in the file. */
const ONE_SUM = [sumHead(1, 1000, 16, 0), Buffer.alloc(20, 1)];
const APPEND = [sumHead(2 ** 29, 131_072, 16, 0)];

describe.skipIf(!hasRoot())('a client that vanishes', { timeout: 30_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({
      // A session that sends nothing finds out by its keep-alives, which come after half of this.
      globals: { timeout: 4 },
      prepare: (dir) => {
        const fd = openSync(join(dir, 'pub/huge'), 'w');
        ftruncateSync(fd, HUGE);
        closeSync(fd);
      },
    });
  });
  afterAll(() => stage.close());

  it.each([
    ['while a file is sent', pullHuge([], request(WHOLE_FILE))],
    ['while a file is searched for blocks', pullHuge([], request(...ONE_SUM))],
    ['while a file is summed for --append-verify', pullHuge(['--append', '--append'], request(...APPEND))],
    ['while a file is summed for --checksum', pullHuge(['--checksum'])],
    ['while a file is compressed', pullHuge(['-z'], request(WHOLE_FILE))],
  ])('%s ends its session', async (_when, bytes) => {
    const peer = await stage.connect();
    peer.send(bytes);
    await peer.untilText('@RSYNCD: OK\n');
    // Until the work has begun; were it not, the session would end all the same.
    await new Promise((resolve) => setTimeout(resolve, 300));
    peer.reset();
    expect((await stage.sessionEnd(peer)).outcome).toBe('peer-gone');
  });
});
