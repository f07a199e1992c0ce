/** The processes of the scoreboard and of the soak: a probed daemon on one core, its clients on another. */

import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { NODE, type Server } from '../session/support/server.ts';
import type { ProbeReport } from './probe.ts';

const SOURCES = new URL('../../src/', import.meta.url).href;

/** For `--import`: the probe as a data URL, since a daemon in a root of its own reaches no file of the tests. */
export const PROBE = dataUrl(readFileSync(join(import.meta.dirname, 'probe.ts'), 'utf8'));

function dataUrl(typescript: string): string {
  const script = stripTypeScriptTypes(typescript).replaceAll("'../../src/", `'${SOURCES}`);
  return `data:text/javascript,${encodeURIComponent(script)}`;
}

/** A command in front that keeps a process on one core; none where there is only one. */
export function onCore(core: number): string[] {
  return availableParallelism() > 1 ? ['taskset', '-c', String(core)] : [];
}

/** The attacker comes second on the core that it shares with the honest client: only the server is to be fought over. */
export const YIELDING = ['nice', '-n', '5'];

/** Starts a client script of this folder on the second core. */
export function spawnClient(script: string, args: readonly string[], wrap: readonly string[] = []): ChildProcess {
  const [program, ...rest] = [...wrap, ...onCore(1), NODE, join(import.meta.dirname, script), ...args] as [
    string,
    ...string[],
  ];
  return spawn(program, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** What the daemon's probe has seen since it was last asked. */
export async function askProbe(server: Server): Promise<ProbeReport> {
  const answer = server.nextOutputLine();
  server.kill('SIGUSR2');
  return JSON.parse(await answer) as ProbeReport;
}
