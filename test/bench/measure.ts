/** Runs the clients of one scenario against one daemon and measures that daemon; main.ts calls it in alternation. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { childCount, cpuSeconds } from '../helpers/process-stats.ts';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import type { RunningDaemon } from '../helpers/running-daemon.ts';
import { removeTree } from '../helpers/scratch.ts';
import type { Scenario } from './scenarios.ts';

export interface Measurement {
  /** CPU of all threads and children of the daemon, in seconds; the kernel counts in steps of 0.01. */
  readonly cpu: number;
  /** Start of the first client to end of the last, in seconds. */
  readonly wall: number;
}

/** One run of all clients; fails when one of them fails. */
export async function measure(daemon: RunningDaemon, scenario: Scenario, dir: string): Promise<Measurement> {
  const out = join(dir, 'out');
  mkdirSync(out);
  // The destination comes last; rsync accepts options behind a source.
  const args = [moduleUrl(daemon.port, scenario.name), ...scenario.args(dir, `${out}/`)];
  const cpuBefore = cpuSeconds(daemon.pid);
  const startMs = performance.now();
  const results = await Promise.all(Array.from({ length: scenario.clients ?? 1 }, () => pull(args)));
  const wall = (performance.now() - startMs) / 1000;
  await childrenReaped(daemon.pid);
  const cpu = cpuSeconds(daemon.pid) - cpuBefore;
  removeTree(out);
  const failure = results.find((text) => text !== '');
  if (failure !== undefined) throw new Error(`${daemon.name}, ${scenario.name}: ${failure}`);
  return { cpu, wall };
}

/** Middle value; the mean of the two middle ones for an even count. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Runs one client; the text of its failure, or ''. */
async function pull(args: readonly string[]): Promise<string> {
  const result = await rsync(args, { deadlineMs: 900_000 });
  return result.exitCode === 0 ? '' : `exit ${result.exitCode}: ${result.stderr.toString('latin1').trim()}`;
}

/** The kernel adds a child's time to its parent when the parent has waited for it. */
async function childrenReaped(pid: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    await delay(25);
    if (childCount(pid) === 0) return;
  }
}
