/** An exception in the work of one session ends that session, says nothing of its reason to the client, and harms no other. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasRoot } from '../setup/clients.ts';
import { openStage, type Stage } from './support/stage.ts';
import { data, enter, ItemWriter, NO_MORE_FILTERS, pullArguments, TRANSFER, WHOLE_FILE } from './support/wire.ts';

/**
 * Preloaded: opening a file of this name fails with what no code expects. Nothing of it is in the daemon, and no client can bring it
 * about.
 */
const FAULT = `
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const { openSync } = fs;
fs.openSync = (path, ...rest) => {
  if (String(path).endsWith('/faulty')) throw new TypeError('injected into ' + path);
  return openSync(path, ...rest);
};
syncBuiltinESMExports();`;

describe.skipIf(!hasRoot())('an exception that nobody expects', { timeout: 60_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({
      tree: [{ name: 'faulty', content: 'never opened\n' }],
      nodeArgs: ['--import', `data:text/javascript,${encodeURIComponent(FAULT)}`],
    });
  });
  afterAll(() => stage.close());

  const upToList = Buffer.concat([enter('pub'), pullArguments([], 31, ['pub/faulty']), data(31, NO_MORE_FILTERS)]);

  it('ends its session alone, with a short word and a line that has the stack', async () => {
    const bystander = await stage.connect();
    bystander.send(enter('pub'), pullArguments(), data(31, NO_MORE_FILTERS));
    await bystander.untilText('nested');
    const request = data(31, new ItemWriter().item(0, TRANSFER, WHOLE_FILE));
    const { line, answer, ending } = await stage.play({ send: Buffer.concat([upToList, request]) });
    expect(line).toMatchObject({ outcome: 'bug', exit: 14 });
    expect([answer.messages, answer.exit, ending]).toEqual(['rsync: [sender] internal error\n', 14, 'end']);
    const bug = await stage.server.waitFor(({ level }) => level === 'error');
    expect(bug).toMatchObject({ msg: 'internal error', err: { type: 'TypeError' } });
    // The other session goes on where it was, and so does the daemon.
    bystander.send(data(31, new ItemWriter().item(1, TRANSFER, WHOLE_FILE)));
    await bystander.until((received) => received.length > 300_000);
    bystander.close();
    const next = await stage.rsync(['-a', '--exclude=faulty', 'URL/pub/', `${stage.dir}/next/`]);
    expect([next.exitCode, next.stderr.toString()]).toEqual([0, '']);
  });
});
