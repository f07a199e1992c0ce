/** Clients that share a scan with one that goes away, or that does not read: they get all of it. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasRoot } from '../setup/clients.ts';
import { openStage, type Stage } from './support/stage.ts';
import { data, enter, filterRecord, NO_MORE_FILTERS, pullArguments } from './support/wire.ts';

const COUNT = 900;

/** Names long enough that a list of them does not fit into the buffers of a client that does not read. */
const TREE = Array.from({ length: COUNT }, (_, i) => ({
  name: `wide${i % 3}/${String(i).padStart(6, '0')}${'x'.repeat(200)}`,
  content: 'x',
}));

function pull(options: readonly string[], ...rules: readonly string[]): Buffer {
  const records = rules.map((rule) => filterRecord(rule));
  return Buffer.concat([enter('pub'), pullArguments(options), data(31, ...records, NO_MORE_FILTERS)]);
}

const CLIENTS: readonly [string, Buffer][] = [
  ['without filters', pull([])],
  ['with filters', pull([], '- *.tmp')],
  ['with -c', pull(['--checksum'])],
];

describe.skipIf(!hasRoot())('a client that shares a scan', { timeout: 120_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({ keys: { file_list_cache: '1h' }, globals: { workers: 2 }, tree: TREE });
  }, 120_000);
  afterAll(() => stage.close());

  it.each(CLIENTS)('%s and goes away leaves it to the others', async (_what, bytes) => {
    for (let i = 0; i < 4; i++) {
      const peer = await stage.connect();
      peer.send(bytes);
      await peer.untilText('@RSYNCD: OK');
      peer.reset();
      await stage.sessionEnd(peer);
    }
    await stage.expectHonestPull();
  });

  it.each(CLIENTS)('%s and does not read holds nobody up', async (_what, bytes) => {
    const peers = await Promise.all([stage.connect(), stage.connect()]);
    for (const peer of peers) {
      peer.stopReading();
      peer.send(bytes);
    }
    await stage.expectHonestPull();
    const { exitCode, stdout } = await stage.rsync(['-r', '--list-only', '--exclude=wide0', 'URL/pub/']);
    const names = stdout.toString().match(/x{200}$/gm) ?? [];
    expect([exitCode, names.length]).toEqual([0, (2 * COUNT) / 3]);
    for (const peer of peers) peer.reset();
    for (const peer of peers) await stage.sessionEnd(peer);
  });
});
