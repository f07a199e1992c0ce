/** Starts C rsync's daemon with the same modules as ours: the other half of every comparison. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClient } from '../setup/clients.ts';
import { freePort } from './free-port.ts';
import { type ModuleSpec, toRsyncdConf } from './module-spec.ts';
import { peakRssKiB } from './process-stats.ts';
import { endChild, type RunningDaemon } from './running-daemon.ts';
import { removeTree, scratchDir } from './scratch.ts';

/** Starts the reference on a free port of 127.0.0.1; it reads as nobody when we are root. */
export async function startReferenceDaemon(modules: readonly ModuleSpec[]): Promise<RunningDaemon> {
  const dir = scratchDir('reference');
  const port = await freePort();
  const config = join(dir, 'rsyncd.conf');
  writeFileSync(config, toRsyncdConf(modules, port));
  const [command, ...prefix] = systemClient().command;
  const args = [...prefix, '--daemon', '--no-detach', `--config=${config}`, '--log-file=/dev/stderr'];
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const lines: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => lines.push(...chunk.toString('latin1').split('\n')));
  const stop = (): Promise<void> => endChild(child).then(() => removeTree(dir));
  if (!(await greets(port))) {
    await stop();
    throw new Error(`the reference daemon did not start:\n${lines.join('\n')}`);
  }
  const pid = child.pid!;
  return { name: 'reference', port, pid, logs: () => lines, peakRssKiB: () => peakRssKiB(pid), stop };
}

async function greets(port: number): Promise<boolean> {
  for (let attempt = 0; attempt < 1200; attempt++) {
    const socket = connect(port, '127.0.0.1');
    const greeting = await once(socket, 'data').catch(() => null);
    socket.destroy();
    if (greeting !== null) return true;
    await delay(25);
  }
  return false;
}
