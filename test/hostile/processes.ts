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

/** Core of the daemon, and that of all its clients. */
export const SERVER_CORE = 0;
const CLIENT_CORE = 1;

/** Only root may take more than others; a lower priority is everybody's. */
const FIRST = process.getuid?.() === 0 ? -10 : 0;
const LAST = 10;

/** A command in front that keeps a process on one core where there are several, with a priority there. */
function placed(core: number, niceness: number): string[] {
  const pinned = availableParallelism() > 1 ? ['taskset', '-c', String(core)] : [];
  return [...pinned, ...(niceness === 0 ? [] : ['nice', '-n', String(niceness)])];
}

/** What measures is served before other things that the machine has to do. */
export const SERVER_PLACE = placed(SERVER_CORE, FIRST);

/**
 * Both kinds of clients share a core that is not the server's, and there the honest one comes first: it stands for a client with a
 * machine of its own, and only the server is to be fought over.
 */
const CLIENT_PLACES = { 'honest.ts': placed(CLIENT_CORE, FIRST), 'attacker.ts': placed(CLIENT_CORE, LAST) } as const;

/** Starts a client script of this folder. */
export function spawnClient(script: keyof typeof CLIENT_PLACES, args: readonly string[]): ChildProcess {
  const [program, ...rest] = [...CLIENT_PLACES[script], NODE, join(import.meta.dirname, script), ...args] as [
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
