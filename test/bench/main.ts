/**
 * `npm run bench`: server CPU and wall time of our daemon against C rsync's, same client, same tree, in alternation.
 *
 * --only NAME (repeatable), --runs N (default 3), --scale F (default 1), --dir DIR for the trees (default: the system's
 * temporary directory), --self compares the reference with itself and so shows the noise.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startDaemon } from '../helpers/daemon.ts';
import { startReferenceDaemon } from '../helpers/reference-daemon.ts';
import type { RunningDaemon } from '../helpers/running-daemon.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { systemClient } from '../setup/clients.ts';
import { type Measurement, measure, median } from './measure.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';

interface Settings {
  readonly help: boolean;
  readonly only: readonly string[] | undefined;
  readonly runs: number;
  readonly scale: number;
  readonly self: boolean;
  readonly dir: string | undefined;
}

const USAGE = `usage: npm run bench -- [--only NAME]… [--runs N] [--scale F] [--dir DIR] [--self]
names: ${SCENARIOS.map(({ name }) => name).join(' ')}`;

const settings = readSettings();
const { only } = settings;
const chosen = SCENARIOS.filter(({ name }) => only?.includes(name) ?? true);
if (settings.help || chosen.length === 0 || !(settings.runs >= 1) || !(settings.scale > 0)) {
  console.error(USAGE);
  process.exit(settings.help ? 0 : 1);
}

console.error(`client and reference: ${systemClient().version}`);
const rows: string[][] = [];
for (const scenario of chosen) rows.push(await runScenario(scenario, settings));
printTable(rows);

function readSettings(): Settings {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        only: { type: 'string', multiple: true },
        runs: { type: 'string', default: '3' },
        scale: { type: 'string', default: '1' },
        dir: { type: 'string' },
        self: { type: 'boolean', default: false },
      },
    });
    return { ...values, only: values.only, dir: values.dir, runs: Number(values.runs), scale: Number(values.scale) };
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    return process.exit(1);
  }
}

async function runScenario(scenario: Scenario, { runs, scale, self, dir: base }: Settings): Promise<string[]> {
  const dir = scratchDir(`bench-${scenario.name}`, base);
  const daemons: RunningDaemon[] = [];
  try {
    console.error(`${scenario.name}: making the tree`);
    const path = join(dir, 'module');
    mkdirSync(path);
    scenario.prepare(dir, scale);
    const modules = [{ name: scenario.name, path }];
    daemons.push(self ? await startReferenceDaemon(modules) : await startDaemon({ modules }));
    daemons.push(await startReferenceDaemon(modules));
    const taken: Measurement[][] = daemons.map(() => []);
    for (let run = 1; run <= runs; run++) {
      for (const [index, daemon] of daemons.entries()) {
        const measured = await measure(daemon, scenario, dir);
        const shown = `cpu ${measured.cpu.toFixed(2)} s, wall ${measured.wall.toFixed(2)} s`;
        console.error(`${scenario.name}: run ${run} of ${runs}, ${daemon.name}: ${shown}`);
        taken[index]!.push(measured);
      }
    }
    return [scenario.title, ...columns(taken), (daemons[0]!.peakRssKiB() / 1024).toFixed(0)];
  } finally {
    for (const daemon of daemons) await daemon.stop();
    removeTree(dir);
  }
}

/** Medians and their ratio, first CPU, then wall time. */
function columns(taken: readonly (readonly Measurement[])[]): string[] {
  return (['cpu', 'wall'] as const).flatMap((field) => {
    const [ours, reference] = taken.map((runs) => median(runs.map((run) => run[field])));
    return [ours!.toFixed(2), reference!.toFixed(2), (ours! / reference!).toFixed(2)];
  });
}

function printTable(rows: readonly string[][]): void {
  const head = ['scenario', 'CPU ours', 'CPU C', 'ratio', 'wall ours', 'wall C', 'ratio', 'peak MiB'];
  const widths = head.map((title, index) => Math.max(title.length, ...rows.map((row) => row[index]!.length)));
  const line = (row: readonly string[]): string =>
    row.map((cell, index) => (index === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[index]!))).join('  ');
  console.log([head, ...rows].map(line).join('\n'));
}
