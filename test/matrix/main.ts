/**
 * `npm run matrix`: every client, protocol, option set and destination state, each pulled from C rsync's daemon and
 * from ours and compared; prints what differs and, last, `N passed, M failed`.
 *
 * --only TEXT keeps the cells whose name contains TEXT, --client NAME those of one client, --protocol N and
 * --state NAME likewise (all repeatable); --shard I/N runs the I-th of N equal parts of what is left, for several machines or
 * sittings; --jobs N pulls at a time; --cache has all modules share file lists; --self puts C rsync on both sides. Needs root.
 */

import { availableParallelism } from 'node:os';
import { readOptions } from '../helpers/command-line.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { treesOf } from '../interop/fixtures.ts';
import { compareForeign } from '../interop/foreign.ts';
import { knowsOptions } from '../interop/known.ts';
import { type Cell, openStage, type Stage } from '../interop/stage.ts';
import { makeClientRoots } from '../setup/client-roots.ts';
import { absentClients, describeClient, hasRoot, otherClients, systemClient } from '../setup/clients.ts';
import { cellName, cellsOf } from './cells.ts';
import { Report } from './report.ts';

/** For one pull, on a machine that has much else to do. */
const DEADLINE_MS = 300_000;

const USAGE =
  'npm run matrix -- [--only TEXT]… [--client NAME]… [--protocol N]… [--state NAME]… [--shard I/N] [--jobs N] [--cache] [--self]';
const values = readOptions(USAGE, {
  only: { type: 'string', multiple: true },
  client: { type: 'string', multiple: true },
  protocol: { type: 'string', multiple: true },
  state: { type: 'string', multiple: true },
  shard: { type: 'string', default: '1/1' },
  jobs: { type: 'string', default: String(availableParallelism()) },
  self: { type: 'boolean', default: false },
  cache: { type: 'boolean', default: false },
});

const jobs = Number(values.jobs);
const report = new Report();
const cells = jobs >= 1 && hasRoot() ? await chosenCells() : [];
if (cells.length === 0) {
  console.error(`usage: ${USAGE}`);
  console.error(
    'nothing chosen: the matrix needs root, --jobs of at least 1, a name that exists and a shard from 1/N to N/N',
  );
  process.exit(1);
}
const stage = await openStage({
  self: values.self,
  cache: values.cache,
  trees: treesOf(cells.map(({ asked }) => asked.module)),
  deadlineMs: DEADLINE_MS,
});
const probes = scratchDir('matrix');
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => endEarly(signal));
try {
  await runAll(stage, cells);
} finally {
  await cleanUp();
}
process.exitCode = report.print();

/** What was judged so far is said; no cell is judged on a stage that is gone. */
async function endEarly(signal: string): Promise<void> {
  report.print();
  console.error(`ended by ${signal} before the last cell`);
  await cleanUp();
  process.exit(1);
}

async function cleanUp(): Promise<void> {
  await stage.close();
  removeTree(probes);
}

async function chosenCells(): Promise<Cell[]> {
  const wanted = (client: string): boolean => values.client?.includes(client) ?? true;
  const problems = values.client?.every((name) => name === 'system') ? [] : await makeClientRoots();
  for (const problem of problems) report.absent(problem);
  for (const name of absentClients().filter(wanted)) {
    // No Debian release has openrsync; that it is not there is no fault of the machine.
    if (name === 'openrsync') report.note('client openrsync: not in PATH, not in Debian, not run');
    else report.absent(`client ${name}`);
  }
  return [systemClient(), ...otherClients()]
    .filter(({ name }) => wanted(name))
    .flatMap((client) => {
      report.note(describeClient(client));
      return cellsOf(client);
    })
    .filter((cell) => values.only?.some((text) => cellName(cell).includes(text)) ?? true)
    .filter(({ protocol }) => values.protocol?.includes(String(protocol)) ?? true)
    .filter(({ state }) => values.state?.includes(state) ?? true)
    .filter((_cell, index) => isOfShard(index));
}

/** Every N-th cell, so that each part has something of everything. */
function isOfShard(index: number): boolean {
  const [part, parts] = values.shard.split('/').map(Number);
  return parts !== undefined && index % parts === part! - 1;
}

async function runAll(on: Stage, all: readonly Cell[]): Promise<void> {
  const queue = all.values();
  const timer = setInterval(() => report.progress(all.length), 10_000);
  const worker = async (): Promise<void> => {
    for (const cell of queue) await runCell(on, cell);
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  clearInterval(timer);
}

async function runCell(on: Stage, cell: Cell): Promise<void> {
  try {
    if (!(await knowsOptions(cell.client, cell.asked, probes))) {
      report.unknown(cell);
    } else if (cell.client.family === 'rsync') {
      report.judged(cell, await on.compare(cell));
    } else {
      const { expected, actual } = await on.pullBoth(cell);
      report.judged(cell, { differences: compareForeign(expected, actual), explained: [] });
    }
  } catch (error) {
    report.judged(cell, { differences: [`the test itself failed: ${error}`], explained: [] });
  }
}
