/**
 * `npm run bench`: server CPU and wall time of our daemon against C rsync's, same client, same tree, warm, in alternation.
 *
 * --only NAME (repeatable), --runs N (default 3), --scale F (default 1), --dir DIR for the trees (default: the system's
 * temporary directory), --self compares the reference with itself and so shows the noise, --write renews RESULTS.md.
 */

import { parseArgs } from 'node:util';
import { bundleProgram } from '../helpers/program.ts';
import { systemClient } from '../setup/clients.ts';
import { measure, type Settings } from './measure.ts';
import { loadScenarios } from './registry.ts';
import { isMet, row, writeResults } from './results.ts';

interface Options extends Settings {
  readonly help: boolean;
  readonly only: readonly string[] | undefined;
  readonly write: boolean;
}

const scenarios = await loadScenarios();
const USAGE = `usage: npm run bench -- [--only NAME]… [--runs N] [--scale F] [--dir DIR] [--self] [--write]
names: ${scenarios.map(({ name }) => name).join(' ')}`;

const options = readOptions();
const { only } = options;
const chosen = scenarios.filter(({ name }) => only?.includes(name) ?? true);
if (options.help || chosen.length === 0 || !(options.runs >= 1) || !(options.scale > 0)) {
  console.error(USAGE);
  process.exit(options.help ? 0 : 1);
}

console.error(`client and reference: ${systemClient().version}`);
const command = ['npm run bench --', ...process.argv.slice(2)].join(' ');
// What is installed anywhere is a bundle: sources take Node's TypeScript parser into memory.
const removeBundle = await bundleProgram();
for (const scenario of chosen) {
  try {
    const outcome = await measure(scenario, options);
    console.log(`${row(scenario, outcome).join(' | ')}${isMet(scenario, outcome) ? '' : '   MISSED'}`);
    // After each row: an hour of figures is not lost with the last one.
    if (options.write) writeResults(scenarios, new Map([[scenario.name, outcome]]), command);
  } catch (error) {
    console.error(`${scenario.name}: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
removeBundle();

function readOptions(): Options {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        only: { type: 'string', multiple: true },
        runs: { type: 'string', default: '3' },
        scale: { type: 'string', default: '1' },
        dir: { type: 'string' },
        self: { type: 'boolean', default: false },
        write: { type: 'boolean', default: false },
      },
    });
    return { ...values, only: values.only, dir: values.dir, runs: Number(values.runs), scale: Number(values.scale) };
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    return process.exit(1);
  }
}
