/** A daemon whose heap counts as full at once: its newest sessions are told to go, one after the other. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasRoot } from '../setup/clients.ts';
import { judge, openStage, type Stage } from './support/stage.ts';
import { data, enter, NO_MORE_FILTERS, pullArguments } from './support/wire.ts';

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
