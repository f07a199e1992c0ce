/** One large file through SSH and TLS, next to C rsync behind OpenSSH's sshd. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createHostKeyFile } from '../../../src/listener/ssh/hostkey.ts';
import { rsync } from '../../helpers/rsync.ts';
import { mustRun } from '../../helpers/run.ts';
import type { RunningDaemon } from '../../helpers/running-daemon.ts';
import { scratchDir } from '../../helpers/scratch.ts';
import { Server as Daemon } from '../../session/support/server.ts';
import { type Sshd, startSshd } from '../../system/sshd-server.ts';
import { metered } from '../pulls.ts';
import type { Scenario, Server, Side } from '../scenario.ts';
import { writeLarge } from '../trees.ts';

/** How a client gets at the module: arguments in front of the destination, and its environment. */
interface Way {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A started server with the way to it. */
interface Reachable extends RunningDaemon {
  readonly way: Way;
}

/** The servers of this file by port: a scenario's run is told the port alone. */
const ways = new Map<number, Way>();

const CLIENT = 'ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR';

async function sshd(dir: string, program: (server: Sshd) => string): Promise<Reachable> {
  const server = await startSshd();
  const way = {
    args: ['-e', server.ssh().join(' '), `--rsync-path=${program(server)}`, `127.0.0.1:${join(dir, 'module')}/`],
  };
  return { ...handle('reference', server), way, stop: () => server.close() };
}

async function listener(kind: 'anon_ssh' | 'tls', dir: string): Promise<Reachable> {
  const keys = scratchDir('bench-keys');
  const files = kind === 'tls' ? await certificate(keys) : hostKey(keys);
  const module = `[[module]]\nname = "module"\npath = ${JSON.stringify(join(dir, 'module'))}\n`;
  const daemon = new Daemon({ toml: `[[listener]]\n${kind} = "127.0.0.1:0"\n${files}${module}` });
  const { address } = await daemon.waitFor((line) => line.msg === 'listening');
  const port = Number(String(address).split(':').at(-1));
  const connect = { RSYNC_CONNECT_PROG: `openssl s_client -quiet -verify_quiet -connect 127.0.0.1:${port}` };
  const url = 'rsync://127.0.0.1/module/';
  const way = kind === 'tls' ? { args: [url], env: connect } : { args: ['-e', `${CLIENT} -p ${port}`, url] };
  return { ...handle('ours', { port, pid: daemon.pid }), way, stop: () => daemon.stop() };
}

function handle(name: RunningDaemon['name'], { port, pid }: { port: number; pid: number }) {
  return { name, port, pid, logs: () => [], peakRssKiB: () => 0 };
}

function hostKey(dir: string): string {
  createHostKeyFile(join(dir, 'host'), 'bench');
  return `host_key_path = ${JSON.stringify(join(dir, 'host'))}\n`;
}

async function certificate(dir: string): Promise<string> {
  const [key, pem] = [join(dir, 'tls.key'), join(dir, 'tls.pem')];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-subj', '/CN=localhost', '-days', '2'];
  await mustRun('openssl', ['req', '-x509', '-nodes', ...kind, '-keyout', key, '-out', pem]);
  return `tls_certificate = ${JSON.stringify(pem)}\ntls_key = ${JSON.stringify(key)}\n`;
}

/** @param ours starts our side; the other is C rsync behind sshd. */
function encrypted(
  name: string,
  title: string,
  targets: Scenario['targets'],
  ours: (dir: string) => Promise<Reachable>,
): Scenario {
  return {
    name,
    title: `one 1 GiB file, ${title}; C: behind OpenSSH's sshd`,
    targets,
    prepare: (dir, scale) => {
      writeLarge(join(dir, 'module/large'), { mib: 1024 * scale, seed: 'encrypted' });
      writeFileSync(join(dir, 'module/small'), 'small\n');
    },
    start: async (side: Side, dir: string) => {
      const started = await (side === 'ours' ? ours(dir) : sshd(dir, () => 'rsync'));
      ways.set(started.port, started.way);
      return started;
    },
    run: (server: Server, _dir, out) => {
      const { args, env = {} } = ways.get(server.port)!;
      return metered(server, async () => {
        const result = await rsync(['-a', '--whole-file', ...args, `${out}/`], { deadlineMs: 900_000, env });
        if (result.exitCode !== 0) throw new Error(`exit ${result.exitCode}: ${result.stderr}`);
      });
    },
  };
}

export const SCENARIOS: readonly Scenario[] = [
  encrypted('ssh-anonymous', 'anonymous SSH', { cpu: 1.3, wall: 1.2 }, (dir) => listener('anon_ssh', dir)),
  encrypted('tls', 'TLS', { cpu: 1.3, wall: 1.2 }, (dir) => listener('tls', dir)),
  encrypted('ssh-command', 'in place of rsync behind sshd', { cpu: 1.3, wall: 1.2 }, (dir) =>
    sshd(dir, ({ program }) => program),
  ),
];
