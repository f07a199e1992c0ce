/**
 * `npm run profile -- NAME [--runs N] [--scale F] [--dir DIR]`: where our daemon spends its CPU in one scenario of the bench.
 *
 * The daemon starts without its sandbox, in which it could write no profile.
 *
 * Prints the functions with the most time of their own. The profile, for a browser's developer tools, stays where the first line says.
 */

import { chmodSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { numberOption, readCommand } from '../helpers/command-line.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { runOnce, startServer } from './measure.ts';
import { loadScenarios } from './registry.ts';

/** Functions that are shown. */
const SHOWN = 40;

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const scenarios = await loadScenarios();
const names = scenarios.map(({ name }) => name).join(' ');
const { values, positionals } = readCommand(
  `npm run profile -- NAME [--runs N] [--scale F] [--dir DIR]\nnames: ${names}`,
  {
    runs: { type: 'string', default: '3' },
    scale: { type: 'string', default: '1' },
    dir: { type: 'string' },
  },
);
const runs = numberOption('runs', values.runs, 1);
const scale = numberOption('scale', values.scale);
const scenario = scenarios.find(({ name }) => name === positionals[0]);
if (scenario === undefined) {
  console.error(`one NAME is needed, of: ${names}`);
  process.exit(1);
}

const profiles = scratchDir(`cpu-${scenario.name}`);
// The daemon may have become nobody by the time it ends.
chmodSync(profiles, 0o1777);
const dir = scratchDir(`profile-${scenario.name}`, values.dir);
try {
  mkdirSync(join(dir, 'module'));
  scenario.prepare?.(dir, scale);
  const server = await startServer(scenario, 'ours', dir, [
    '--no-experimental-ffi',
    '--cpu-prof',
    `--cpu-prof-dir=${profiles}`,
  ]);
  for (let run = 0; run < runs; run++) {
    console.error(await runOnce(scenario, server, dir, scale));
  }
  await server.stop();
} finally {
  removeTree(dir);
}
for (const name of readdirSync(profiles)) show(join(profiles, name));

function show(path: string): void {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(path, 'utf8')) as Profile;
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const own = new Map<string, number>();
  for (const [index, id] of samples.entries()) {
    const name = names.get(id)!;
    own.set(name, (own.get(name) ?? 0) + timeDeltas[index]!);
  }
  own.delete('(idle)');
  const total = own.values().reduce((sum, time) => sum + time, 0);
  console.log(`${path}: ${(total / 1e6).toFixed(2)} s`);
  for (const [name, time] of [...own].sort((a, b) => b[1] - a[1]).slice(0, SHOWN)) {
    console.log(`${((100 * time) / total).toFixed(1).padStart(5)} %  ${name}`);
  }
}

function nameOf({ functionName, url, lineNumber }: Profile['nodes'][number]['callFrame']): string {
  const place = url === '' ? '' : ` ${url.replace(/^.*\/src\//, '')}:${lineNumber + 1}`;
  return `${functionName === '' ? '(anonymous)' : functionName}${place}`;
}
