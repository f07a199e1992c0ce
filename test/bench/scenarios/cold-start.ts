/**
 * From the start of the minimal root's program, which inherits a socket and locks itself in, to the first byte for the client that waits at
 * it. Two starts of Node: where a unit locks it in, there is one (activation.ts).
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { toToml } from '../../helpers/module-spec.ts';
import { endChild, type RunningDaemon } from '../../helpers/running-daemon.ts';
import { buildMinimalRoot, ROOT } from '../../system/build.ts';
import type { Figures, Scenario } from '../scenario.ts';

/** As deploy/deb starts it. */
const COMMAND = [
  join(ROOT, 'bin/node'),
  '--disallow-code-generation-from-strings',
  join(ROOT, 'usr/lib/gokr-rsyncd/gokr-rsyncd.mjs'),
];

async function prepareProgram(dir: string): Promise<RunningDaemon> {
  writeFileSync(join(dir, 'rsyncd.toml'), toToml([{ name: 'cold', path: join(dir, 'module') }]));
  buildMinimalRoot();
  return { name: 'ours', port: 0, pid: 0, logs: () => [], peakRssKiB: () => 0, stop: async () => {} };
}

async function firstByte(dir: string): Promise<Figures> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const { fd } = (listener as unknown as { _handle: { fd: number } })._handle;
  const program = [...COMMAND, '--daemon', '--config'];
  const startMs = performance.now();
  const child = spawn('sh', ['-c', 'LISTEN_PID=$$ exec "$@"', 'sh', ...program, join(dir, 'rsyncd.toml')], {
    stdio: ['ignore', 'ignore', 'ignore', fd],
    env: { ...process.env, LISTEN_FDS: '1', LISTEN_FDNAMES: 'rsyncd' },
  });
  // Our own copy accepts nothing any more; the daemon's does.
  listener.close();
  try {
    const client = connect(port, '127.0.0.1');
    await once(client, 'data');
    const wall = (performance.now() - startMs) / 1000;
    client.destroy();
    return { wall };
  } finally {
    await endChild(child);
  }
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'cold-start',
    title: 'start without a service manager: inherited socket to first byte, full sandbox',
    targets: {},
    hasReference: false,
    start: (_side, dir) => prepareProgram(dir),
    run: (_server, dir) => firstByte(dir),
  },
];
