/** The usual run of a scenario: rsync clients against a server whose CPU is metered; scenarios/ use it. */

import { moduleUrl, rsync } from '../helpers/rsync.ts';
import type { Figures, Scenario, Server } from './scenario.ts';

/** Client options and destination of one pull; the destination comes last. */
export type PullArgs = (dir: string, out: string) => readonly string[];

/** A run in which `clients` clients pull the whole module at the same time. */
export function pulls(name: string, args: PullArgs, clients = 1): Scenario['run'] {
  return (server, dir, out) => {
    const all = [moduleUrl(server.port, name), ...args(dir, out)];
    return metered(server, async () => {
      await Promise.all(Array.from({ length: clients }, () => mustPull(all)));
    });
  };
}

/** Wall time of `work` and the server's CPU meanwhile. */
export async function metered(server: Server, work: () => Promise<void>): Promise<Figures> {
  const before = await server.meter.read();
  const startMs = performance.now();
  await work();
  const wall = (performance.now() - startMs) / 1000;
  return { cpu: (await server.meter.read()) - before, wall };
}

/** Runs one client. @throws Error with what it said when it fails. */
export async function mustPull(args: readonly string[]): Promise<void> {
  const result = await rsync(args, { deadlineMs: 900_000 });
  if (result.exitCode !== 0) throw new Error(`rsync ${args.join(' ')}: exit ${result.exitCode}: ${result.stderr}`);
}
