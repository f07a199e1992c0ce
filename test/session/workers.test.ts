/** Several workers serve as one daemon: they share the clients, the bounds and the log, and survive each other. */

import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareSnapshots } from '../helpers/compare-snapshots.ts';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { snapshot } from '../helpers/snapshot.ts';
import { makeTree } from '../helpers/tree.ts';
import { hasRoot } from '../setup/clients.ts';
import { Peer } from './support/peer.ts';
import { type ListeningServer, type LogLine, startServer } from './support/server.ts';

/** At 2 MB/s a pull takes a second. */
const SIZE = 2_000_000;

const DIED = 'worker died: its sessions are cut off, another takes its place';

/**
 * Makes a worker fall over an exception when its number is written to a file. Nothing else could: threads have no signals, and no
 * client can do it. Text, since the daemon sees no file of ours but its modules.
 */
const fallCode = (file: string): string => `
import { readFileSync } from 'node:fs';
import { isMainThread, workerData } from 'node:worker_threads';
const order = () => { try { return readFileSync(${JSON.stringify(file)}, 'latin1'); } catch { return ''; } };
if (!isMainThread) {
  const old = order(); // What is there at the start is for the one before.
  setInterval(() => {
    const given = order();
    if (given === old || !given.startsWith(workerData.worker + ' ')) return;
    if (!given.endsWith('memory')) throw new Error('fell over');
    for (const kept = [];;) kept.push(new Array(10_000).fill(given.length));
  }, 20).unref();
}`;

interface Daemon extends ListeningServer {
  readonly dir: string;
  /** Makes a worker die, and waits for the news. */
  readonly fell: (worker: number, how?: 'exception' | 'memory') => Promise<LogLine>;
  readonly close: () => Promise<void>;
}

/** A daemon with two workers; `globals` are lines of its configuration. */
async function start(globals = '', flags: readonly string[] = []): Promise<Daemon> {
  const dir = scratchDir('workers');
  const [pub, orders] = [join(dir, 'pub'), join(dir, 'orders')];
  await makeTree(pub, [{ name: 'big', size: SIZE }]);
  await makeTree(orders, [{ name: 'none', content: '' }]);
  const toml = `workers = 2\n${globals}
[[listener]]
rsyncd = "127.0.0.1:0"
[[module]]
name = "pub"
path = ${JSON.stringify(pub)}
[[module]]
name = "orders"
path = ${JSON.stringify(orders)}
`;
  const fall = join(orders, 'fall');
  const nodeArgs = [...flags, `--import=data:text/javascript,${encodeURIComponent(fallCode(fall))}`];
  const listening = await startServer({ toml, nodeArgs });
  let falls = 0;
  return {
    ...listening,
    dir,
    fell: (worker, how = 'exception') => {
      falls++;
      writeFileSync(`${fall}.new`, `${worker} ${falls} ${how}`);
      renameSync(`${fall}.new`, fall);
      return listening.server.waitFor(({ deaths }) => deaths === falls);
    },
    close: async () => {
      await listening.server.stop();
      removeTree(dir);
    },
  };
}

/** Lists until the log has a session of each worker. */
async function useBoth({ server, port }: Daemon, since: number): Promise<void> {
  const used = () =>
    new Set(server.logged.slice(since).flatMap(({ worker }) => (worker === undefined ? [] : [worker])));
  for (let round = 0; used().size < 2; round++) {
    expect(round, 'one worker gets all sessions').toBeLessThan(100);
    const lists = Array.from({ length: 4 }, () => rsync([`rsync://127.0.0.1:${port}/`]));
    for (const { exitCode } of await Promise.all(lists)) expect(exitCode).toBe(0);
  }
}

describe.skipIf(!hasRoot())('two workers', { timeout: 120_000 }, () => {
  let daemon: Daemon;

  beforeAll(async () => {
    daemon = await start();
  }, 60_000);
  afterAll(() => daemon.close());

  it('both get sessions, and log each line once', async () => {
    await useBoth(daemon, 0);
    const peer = await Peer.connect(daemon.port);
    peer.send(Buffer.from('@RSYNCD: 32.0 md5\n#list\n'));
    await peer.ended();
    await daemon.server.sessionEnd(peer.port, 0);
    expect(daemon.server.logged.filter(({ port }) => port === peer.port)).toHaveLength(1);
  });

  it('go on with their transfers when one dies, which is replaced', async () => {
    const { dir, port, server } = daemon;
    const pull = async (index: number): Promise<boolean> => {
      const destination = join(dir, `got${index}`);
      const { exitCode } = await rsync(['-a', '--bwlimit=2000', moduleUrl(port, 'pub'), `${destination}/`]);
      if (exitCode !== 0) return false;
      const options = { startedMs: Number.MAX_SAFE_INTEGER };
      expect(compareSnapshots(snapshot(join(dir, 'pub'), options), snapshot(destination, options))).toEqual([]);
      return true;
    };
    // All of six pulls may have come to the worker that falls; not often, and not several times in a row.
    for (let round = 0, survivors = 0; survivors === 0; round++) {
      expect(round).toBeLessThan(5);
      const pulls = Array.from({ length: 6 }, (_, index) => pull(6 * round + index));
      const { err, worker, msg } = await daemon.fell(0);
      expect([msg, (err as { message: string }).message, worker]).toEqual([DIED, 'fell over', 0]);
      survivors = (await Promise.all(pulls)).filter((isWhole) => isWhole).length;
    }
    await useBoth(daemon, server.logged.length);
  });
});

describe.skipIf(!hasRoot())('a worker that runs out of memory', { timeout: 120_000 }, () => {
  it('dies alone, and is replaced', async () => {
    const daemon = await start('', ['--max-old-space-size=96']);
    try {
      const { err, worker, msg } = await daemon.fell(1, 'memory');
      expect([msg, worker, (err as { code: string }).code]).toEqual([DIED, 1, 'ERR_WORKER_OUT_OF_MEMORY']);
      await useBoth(daemon, daemon.server.logged.length);
    } finally {
      await daemon.close();
    }
  });
});

describe.skipIf(!hasRoot())('the places of a worker that died', { timeout: 120_000 }, () => {
  let daemon: Daemon;

  beforeAll(async () => {
    daemon = await start('max_connections = 3\n');
  }, 60_000);
  afterAll(() => daemon.close());

  const greeted = async (): Promise<Peer> => {
    const peer = await Peer.connect(daemon.port);
    await peer.until((received) => received.includes('\n'));
    return peer;
  };

  it('are given back', async () => {
    const peers = [await greeted(), await greeted(), await greeted()];
    const refused = await Peer.connect(daemon.port);
    await refused.ended();
    expect(refused.text).toContain('max connections (3) reached');
    // Whoever had the sessions, they are gone then.
    await daemon.fell(0);
    await daemon.fell(1);
    for (const peer of peers) await peer.ended();
    const again = [await greeted(), await greeted(), await greeted()];
    expect(again.map(({ text }) => text.slice(0, 8))).toEqual(['@RSYNCD:', '@RSYNCD:', '@RSYNCD:']);
    expect(again.some(({ text }) => text.includes('@ERROR'))).toBe(false);
    for (const peer of again) peer.close();
  });
});

describe.skipIf(!hasRoot())('a signal to stop', { timeout: 120_000 }, () => {
  it('lets the sessions of all workers finish, refuses new ones, and ends with 0', async () => {
    const daemon = await start();
    const { dir, port, server } = daemon;
    try {
      const copies = Array.from({ length: 4 }, (_, index) => join(dir, `got${index}`));
      const pulls = copies.map((copy) => rsync(['-a', '--bwlimit=4000', moduleUrl(port, 'pub'), `${copy}/`]));
      // The client has opened its temporary file: its session is in the middle of the transfer, or behind it.
      while (!copies.every((copy) => existsSync(copy) && readdirSync(copy).length > 0)) await setTimeout(10);
      server.kill('SIGTERM');
      await server.waitFor(({ msg }) => msg === 'stopping');
      for (const { exitCode } of await Promise.all(pulls)) expect(exitCode).toBe(0);
      const { exitCode, signal } = await server.ended();
      expect([exitCode, signal]).toEqual([0, null]);
      expect(server.logged.filter(({ outcome, module }) => module === 'pub' && outcome === 'ok')).toHaveLength(4);
      await expect(Peer.connect(port)).rejects.toThrow();
    } finally {
      await daemon.close();
    }
  });
});
