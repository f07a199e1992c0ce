/** What clients can write into the log: everything that carries text of theirs, in both formats, and how much of it. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHostKeyFile } from '../../src/listener/ssh/hostkey.ts';
import { escapeControls } from '../../src/observe/escape.ts';
import { headerV1 } from '../helpers/proxy-headers.ts';
import { run } from '../helpers/run.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { haveTool } from '../interop/ssh-tools.ts';
import { hasRoot } from '../setup/clients.ts';
import { limitHitsOf, MONITORED } from './support/limit-hits.ts';
import { Peer } from './support/peer.ts';
import { Server } from './support/server.ts';
import { openStage } from './support/stage.ts';
import {
  allDone,
  argumentList,
  data,
  enter,
  filterRecord,
  frame,
  ItemWriter,
  NO_MORE_FILTERS,
  pullArguments,
  TRANSFER,
  vstring,
  WHOLE_FILE,
} from './support/wire.ts';

/** Drives terminals, forges lines, turns text around; each use has a mark of its own in front. */
const EVIL = '\x1b[2J\x9b31m\x07\r{"level":"fatal"}\u202e';
const evil = (mark: string): string => `${mark}${Buffer.from(EVIL).toString('latin1')}`;

const PASSWORD = 'correct-horse-battery';
const SECRET_FILE = 'root:x:0:0:nobody-may-read-this';

const UP_TO_LIST = Buffer.concat([enter('pub'), pullArguments(), data(31, NO_MORE_FILTERS)]);

/** What one hostile client sends on a plain connection, by where its text goes. */
const SENT: Readonly<Record<string, Buffer>> = {
  greeting: Buffer.from(`${evil('greeting')}\n`, 'latin1'),
  digests: Buffer.from(`@RSYNCD: 31.0 ${evil('digests')}\nlocked\n`, 'latin1'),
  module: Buffer.from(`@RSYNCD: 31.0\n${evil('module')}\n`, 'latin1'),
  command: Buffer.from(`@RSYNCD: 31.0\n#${evil('command')}\n`, 'latin1'),
  option: Buffer.concat([enter('pub'), argumentList(['--server', '--sender', `--${evil('option')}`, '.', 'pub/'])]),
  path: Buffer.concat([
    enter('pub'),
    pullArguments([], 31, [`pub/${evil('path')}`]),
    data(31, NO_MORE_FILTERS, allDone()),
  ]),
  rule: Buffer.concat([enter('pub'), pullArguments(), data(31, filterRecord(evil('rule')))]),
  merge: Buffer.concat([
    enter('pub'),
    pullArguments(),
    data(31, filterRecord(`. ../../${evil('merge')}`), NO_MORE_FILTERS),
  ]),
  filesFrom: Buffer.concat([
    enter('pub'),
    pullArguments([`--files-from=/etc/${evil('names')}`]),
    data(31, NO_MORE_FILTERS),
  ]),
  xname: Buffer.concat([UP_TO_LIST, data(31, new ItemWriter().item(1, 0x1000, vstring(evil('xname'))), allDone())]),
  message: Buffer.concat([UP_TO_LIST, frame(2, Buffer.from(evil('message'), 'latin1'))]),
  file: Buffer.concat([UP_TO_LIST, data(31, new ItemWriter().item(1, TRANSFER, WHOLE_FILE), allDone())]),
};

const isReady = hasRoot() && haveTool('ssh');

describe.runIf(isReady)('the log', { timeout: 60_000 }, () => {
  let dir: string;

  beforeAll(() => {
    dir = scratchDir('log');
    mkdirSync(join(dir, 'pub'));
    writeFileSync(Buffer.from(join(dir, `pub/${evil('name')}`), 'latin1'), 'content');
    writeFileSync(join(dir, 'outside'), SECRET_FILE);
    writeFileSync(join(dir, 'secrets'), `alice:${PASSWORD}\n`, { mode: 0o600 });
    createHostKeyFile(join(dir, 'key'), 'test');
  });
  afterAll(() => removeTree(dir));

  function toml(format: string): string {
    const path = `path = ${JSON.stringify(join(dir, 'pub'))}`;
    return `workers = 1\nlog_transfers = "file"\nlog_format = "${format}"
[[listener]]\nrsyncd = "127.0.0.1:0"
[[listener]]\nrsyncd = "127.0.0.1:0"\nproxy_protocol = true\nproxy_trusted = ["127.0.0.1/32"]
[[listener]]\nanon_ssh = "127.0.0.1:0"\nhost_key_path = ${JSON.stringify(join(dir, 'key'))}
[[module]]\nname = "pub"\n${path}
[[module]]\nname = "locked"\n${path}\nauth_users = ["alice"]\nsecrets_file = ${JSON.stringify(join(dir, 'secrets'))}\n`;
  }

  /** Ports of the three listeners, in the order of the file. */
  async function ports(server: Server): Promise<number[]> {
    const listening = () => server.logged.filter(({ msg }) => msg === 'listening');
    await server.waitFor(() => listening().length === 3);
    return listening().map(({ address }) => Number(String(address).split(':').at(-1)));
  }

  /** @returns the port of the client, which its lines carry. */
  async function play(port: number, sent: Buffer): Promise<number> {
    const peer = await Peer.connect(port);
    peer.send(sent);
    peer.end();
    await peer.ended();
    return peer.port;
  }

  /** Answers a challenge with what is no answer. @returns what was sent. */
  async function logInWrongly(port: number): Promise<string> {
    const peer = await Peer.connect(port);
    peer.send('@RSYNCD: 31.0 sha512\nlocked\n');
    await peer.untilText('AUTHREQD');
    const response = 'cmVzcG9uc2Utb2YtYS11c2Vy';
    peer.send(`${evil('user')} ${response}\n`);
    await peer.ended();
    return response;
  }

  async function overSsh(port: number, command: string): Promise<void> {
    const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'BatchMode=yes', 'LogLevel=ERROR'];
    const args = [...options.flatMap((option) => ['-o', option]), '-p', String(port), 'user@127.0.0.1', command];
    await run('ssh', args, { deadlineMs: 30_000 });
  }

  it.each(['json', 'text'])(
    'in format %s holds no control character, secret or outside path of a client',
    async (format) => {
      const server = new Server({ toml: toml(format) });
      try {
        const [plain, proxied, ssh] = (await ports(server)) as [number, number, number];
        const since = server.lines.length;
        for (const sent of Object.values(SENT)) await play(plain, sent);
        const response = await logInWrongly(plain);
        await play(proxied, Buffer.from(`PROXY ${evil('proxy')}\r\n`, 'latin1'));
        await play(proxied, Buffer.concat([headerV1('TCP4 192.0.2.7 192.0.2.8 1 2'), SENT.module!]));
        await overSsh(ssh, `rsync --server ${evil('exec')}; cat /etc/shadow`);
        // The last of all: by then the log has the others.
        const last = String(await play(plain, Buffer.from('@RSYNCD: 31.0\n#list\n')));
        const lines = () => server.lines.slice(since);
        while (!lines().some((line) => line.includes(last))) await new Promise((resolve) => setTimeout(resolve, 20));
        const texts = lines();
        expect(texts.filter((line) => escapeControls(line) !== line)).toEqual([]);
        expect(texts.length).toBeGreaterThan(Object.keys(SENT).length);
        const all = texts.join('\n');
        // Where a text is shown at all, it is the escaped one: the test would see nothing else.
        for (const mark of ['option', 'rule', 'merge', 'name', 'user', 'exec']) {
          expect(all).toMatch(new RegExp(`${mark}\\\\+(x1b|#033)\\[2J`));
        }
        for (const hidden of [response, PASSWORD, SECRET_FILE, dir]) expect(all).not.toContain(hidden);
      } finally {
        await server.stop();
      }
    },
  );

  it('a flood of refused connections writes no more lines than a second may have', async () => {
    const stage = await openStage({
      globals: { max_connections: 1, 'limits.logLinesPerSecond': 5 },
      process: { args: MONITORED },
    });
    try {
      const holder = await stage.connect();
      await holder.untilText('@RSYNCD:');
      const startedMs = performance.now();
      for (let round = 0; round < 4; round++) {
        const peers = await Promise.all(Array.from({ length: 50 }, () => Peer.connect(stage.port)));
        await Promise.all(peers.map((peer) => peer.ended()));
      }
      const seconds = Math.ceil((performance.now() - startedMs) / 1000);
      const hits = await limitHitsOf(stage.server);
      expect(hits.get('connections')).toBe(200);
      const written = 200 - hits.get('logLinesPerSecond')!;
      expect(written).toBeGreaterThan(0);
      expect(written).toBeLessThanOrEqual(5 * (seconds + 1));
      // Lines are gathered before they are written: the last may come after the clients' ends.
      const refusals = () => stage.server.logged.filter(({ msg }) => msg === 'connection refused').length;
      await expect.poll(refusals).toBe(written);
    } finally {
      await stage.close();
    }
  });
});
