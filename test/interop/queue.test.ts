/** Real clients in the queue of a module: they wait in turn, over TCP, SSH and TLS, and print where they stand. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHostKeyFile } from '../../src/listener/ssh/hostkey.ts';
import { rsync } from '../helpers/rsync.ts';
import type { RunResult } from '../helpers/run.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { MONITORED, metricsOf } from '../session/support/limit-hits.ts';
import { Peer } from '../session/support/peer.ts';
import { Server } from '../session/support/server.ts';
import { allDone, data, enter, NO_MORE_FILTERS, pullArguments } from '../session/support/wire.ts';
import { hasRoot, otherClients, type RsyncClient, systemClient } from '../setup/clients.ts';
import { haveTool } from './ssh-tools.ts';
import { makeCertificate, throughTls, tlsListener } from './tls-files.ts';

const TURN = 'module pub: it is your turn\n';

describe.runIf(hasRoot() && haveTool('ssh') && haveTool('openssl'))('the queue of a module', () => {
  let dir: string;
  let server: Server;
  let holder: Peer;

  beforeEach(async () => {
    dir = scratchDir('queue');
    mkdirSync(join(dir, 'pub'));
    writeFileSync(join(dir, 'pub/file'), 'content\n');
    createHostKeyFile(join(dir, 'key'), 'test');
    await makeCertificate(dir, 'server');
    server = new Server({
      toml: [
        'workers = 2',
        '[[listener]]\nrsyncd = "127.0.0.1:0"',
        `[[listener]]\nanon_ssh = "127.0.0.1:0"\nhost_key_path = ${JSON.stringify(join(dir, 'key'))}`,
        tlsListener(dir, 'server'),
        `[[module]]\nname = "pub"\npath = ${JSON.stringify(join(dir, 'pub'))}\nmax_connections = 1\nqueue = 20`,
      ].join('\n'),
      args: MONITORED,
    });
    holder = await Peer.connect(await port('rsyncd'));
    holder.send(enter('pub'));
    await holder.untilText('@RSYNCD: OK\n');
    holder.send(pullArguments(), data(31, NO_MORE_FILTERS));
  });
  afterEach(async () => {
    holder.close();
    await server.stop();
    removeTree(dir);
  });

  const port = async (kind: string): Promise<number> => {
    const { address } = await server.waitFor(({ msg, listener }) => msg === 'listening' && listener === kind);
    return Number(String(address).split(':').at(-1));
  };
  const queued = async (): Promise<number> => {
    const text = await metricsOf(server);
    return Number(/^gokr_rsyncd_sessions_queued\{module="pub"\} (\d+)$/m.exec(text)?.[1]);
  };
  /** Starts a client, and waits until it waits. */
  const queueUp = async (
    args: readonly string[],
    copy: string,
    client: RsyncClient = systemClient(),
    env: Readonly<Record<string, string>> = {},
  ): Promise<() => Promise<RunResult>> => {
    const before = await queued();
    const url = `rsync://127.0.0.1:${await port('rsyncd')}/pub/`;
    const ended = rsync([...args, ...(args.includes('-e') ? [] : [url]), join(dir, copy)], { cwd: dir, env }, client);
    while ((await queued()) === before) await sleep(100);
    return () => ended;
  };

  it('serves clients of every protocol in turn, and each prints where it stands', async () => {
    const protocols = [27, 28, 29, 30, 31, 32];
    const clients = [];
    for (const protocol of protocols) clients.push(await queueUp(['-a', `--protocol=${protocol}`], `copy${protocol}`));
    holder.send(data(31, allDone()));
    for (const [index, ended] of clients.entries()) {
      const { exitCode, stdout, stderr } = await ended();
      const number = index + 1;
      const first = `module pub is full: you are number ${number} of ${number} in the queue\n`;
      expect({ exitCode, stderr: stderr.toString() }).toEqual({ exitCode: 0, stderr: '' });
      expect(stdout.toString().startsWith(first)).toBe(true);
      expect(stdout.toString().endsWith(TURN)).toBe(true);
      expect(readFileSync(join(dir, `copy${protocols[index]}/file`), 'utf8')).toBe('content\n');
    }
    await server.waitFor(() => server.logged.filter(({ msg }) => msg === 'session ended').length === 7);
    // Each worker sends its lines several at a time.
    const ends = server.logged
      .filter(({ msg }) => msg === 'session ended')
      .toSorted((a, b) => String(a.time).localeCompare(String(b.time)))
      .map(({ protocol }) => protocol);
    expect(ends).toEqual([31, ...protocols]);
  });

  it('serves clients of other versions and makes, and those that want no message of the day', async () => {
    const quiet = await queueUp(['-a', '--no-motd'], 'quiet');
    const clients: (readonly [name: string, ended: () => Promise<RunResult>])[] = [['system', quiet]];
    for (const client of otherClients()) clients.push([client.name, await queueUp(['-a'], client.name, client)]);
    holder.send(data(31, allDone()));
    for (const [name, ended] of clients) {
      const { exitCode, stdout } = await ended();
      expect({ name, exitCode }).toEqual({ name, exitCode: 0 });
      if (name === 'system') expect(stdout.toString()).toBe('');
    }
  });

  it('holds for TLS as well', async () => {
    const env = throughTls(await port('tls'), join(dir, 'server.pem'));
    const ended = await queueUp(['-a'], 'copy', systemClient(), env);
    holder.send(data(31, allDone()));
    const { exitCode, stdout, stderr } = await ended();
    expect({ exitCode, stderr: stderr.toString() }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout.toString().startsWith('module pub is full: you are number 1 of 1 in the queue\n')).toBe(true);
    expect(stdout.toString().endsWith(TURN)).toBe(true);
    await server.waitFor(({ msg, listener }) => msg === 'session ended' && listener === 'tls');
    expect(readFileSync(join(dir, 'copy/file'), 'utf8')).toBe('content\n');
  });

  it('holds for SSH as well, and forgets a client whose SSH connection ends', async () => {
    const options = '-F none -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR';
    const shell = `ssh ${options} -o BatchMode=yes -o IdentityAgent=none -p ${await port('anon_ssh')}`;
    const args = ['-a', '-e', shell, 'rsync://127.0.0.1/pub/'];
    const ended = await queueUp(['--timeout=10', ...args], 'copy');
    const left = rsync(['-a', '-e', shell, 'rsync://127.0.0.1/pub/', join(dir, 'left')], {
      cwd: dir,
      deadlineMs: 4000,
    });
    while ((await queued()) < 2) await sleep(100);
    expect((await left).exitCode).not.toBe(0);
    while ((await queued()) > 1) await sleep(100);
    const gone = await server.waitFor(({ msg, outcome }) => msg === 'session ended' && outcome === 'peer-gone');
    expect(gone).toMatchObject({ listener: 'anon_ssh', module: 'pub' });
    holder.send(data(31, allDone()));
    const { exitCode, stdout, stderr } = await ended();
    expect({ exitCode, stderr: stderr.toString() }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout.toString().startsWith('module pub is full: you are number 1 of 1 in the queue\n')).toBe(true);
    expect(stdout.toString().endsWith(TURN)).toBe(true);
  });
});
