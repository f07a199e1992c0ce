/** Starts the servers of a scenario, runs it in alternation and takes medians; main.ts and profile.ts call it. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startDaemon } from '../helpers/daemon.ts';
import { startReferenceDaemon } from '../helpers/reference-daemon.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { type CpuMeter, openCpuMeter } from './cpu-meter.ts';
import type { Figures, Scenario, Server, Side } from './scenario.ts';

export interface Settings {
  readonly runs: number;
  readonly scale: number;
  /** Compare the reference with itself, which shows the noise. */
  readonly self: boolean;
  /** Where the trees are made; the system's temporary directory when undefined. */
  readonly dir: string | undefined;
}

/** Medians of one scenario. */
export interface Outcome {
  readonly ours: Figures;
  /** Null where there is nothing to compare with. */
  readonly reference: Figures | null;
}

const FIELDS = ['cpu', 'wall', 'memory'] as const;

/** Runs one scenario; fails when one of its clients fails. */
export async function measure(scenario: Scenario, settings: Settings): Promise<Outcome> {
  const dir = scratchDir(`bench-${scenario.name}`, settings.dir);
  const servers: Server[] = [];
  try {
    console.error(`${scenario.name}: making the tree`);
    mkdirSync(join(dir, 'module'));
    scenario.prepare?.(dir, settings.scale);
    servers.push(await startServer(scenario, settings.self ? 'reference' : 'ours', dir));
    if (scenario.hasReference !== false) servers.push(await startServer(scenario, 'reference', dir));
    for (let warmUp = 0; warmUp < (scenario.warmUps ?? 1); warmUp++) {
      for (const server of servers) await runOnce(scenario, server, dir, settings.scale);
    }
    const taken: Figures[][] = servers.map(() => []);
    for (let run = 1; run <= settings.runs; run++) {
      for (const [index, server] of servers.entries()) {
        const figures = await runOnce(scenario, server, dir, settings.scale);
        console.error(`${scenario.name}: run ${run} of ${settings.runs}, ${server.side}: ${shown(figures)}`);
        taken[index]!.push(figures);
      }
    }
    return { ours: medians(taken[0]!), reference: taken[1] === undefined ? null : medians(taken[1]) };
  } finally {
    for (const server of servers) await server.stop();
    removeTree(dir);
  }
}

/** For runs that start a process of their own. */
const NO_METER: CpuMeter = { read: async () => 0, pids: () => [], close: () => {} };

/** Starts one side and gives it a meter. */
export async function startServer(
  scenario: Scenario,
  side: Side,
  dir: string,
  nodeArgs?: readonly string[],
): Promise<Server> {
  const daemon = await (scenario.start?.(side, dir) ?? startDefault(scenario, side, dir, nodeArgs));
  const { port, pid } = daemon;
  const meter = pid === 0 ? NO_METER : openCpuMeter(pid);
  const stop = async (): Promise<void> => {
    await daemon.stop();
    meter.close();
  };
  return { side, port, pid, meter, stop };
}

function startDefault(scenario: Scenario, side: Side, dir: string, nodeArgs: readonly string[] = []) {
  const module = { name: scenario.name, path: join(dir, 'module') };
  if (side === 'reference') return startReferenceDaemon([module]);
  return startDaemon({ modules: [{ ...module, keys: scenario.moduleKeys ?? {} }], globals: { workers: 0 }, nodeArgs });
}

/** One run in a directory of its own. */
export async function runOnce(scenario: Scenario, server: Server, dir: string, scale: number): Promise<Figures> {
  const out = join(dir, 'out');
  mkdirSync(out);
  try {
    return await scenario.run(server, dir, out, scale);
  } finally {
    removeTree(out);
  }
}

function medians(runs: readonly Figures[]): Figures {
  const entries = FIELDS.flatMap((field) => {
    const values = runs.flatMap((figures) => figures[field] ?? []);
    return values.length === 0 ? [] : [[field, median(values)] as const];
  });
  return Object.fromEntries(entries);
}

/** Middle value; the mean of the two middle ones for an even count. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function shown(figures: Figures): string {
  const units = { cpu: 's cpu', wall: 's wall', memory: 'MiB' };
  return FIELDS.flatMap((field) => {
    const value = figures[field];
    return value === undefined ? [] : [`${value.toFixed(3)} ${units[field]}`];
  }).join(', ');
}
