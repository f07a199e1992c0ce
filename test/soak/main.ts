/**
 * `npm run soak`: clients of mixed behaviour (honest, slow, aborting, hostile) against a tree that changes while it is read.
 *
 * --minutes N (default 5), --clients N (default 50). Ends with 1 after a wrong byte, an error in the daemon's log or a daemon that
 * is gone. A file that a client got must be one whole version of itself, unless that client reported a failure.
 */

import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { numberOption, readOptions } from '../helpers/command-line.ts';
import { toToml } from '../helpers/module-spec.ts';
import { residentMiB } from '../helpers/process-stats.ts';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { Attacker } from '../hostile/attacker.ts';
import { ATTACKS } from '../hostile/attacks.ts';
import { askProbe, PROBE } from '../hostile/processes.ts';
import { makeModules } from '../hostile/trees.ts';
import { type Server, startServer } from '../session/support/server.ts';
import { isOneVersion, replaceFile } from './files.ts';

const DIRECTORIES = 20;
const FILES_EACH = 10;

const values = readOptions('npm run soak -- [--minutes N] [--clients N]', {
  minutes: { type: 'string', default: '5' },
  clients: { type: 'string', default: '50' },
});
const clientCount = numberOption('clients', values.clients, 1);
const endMs = performance.now() + numberOption('minutes', values.minutes) * 60_000;
const isOver = (): boolean => performance.now() > endMs;

/** What has happened so far. */
const totals = { sessions: 0, failed: 0, files: 0, bytes: 0, wrong: 0, aborted: 0, attacks: 0, changes: 0 };

/** What the daemon looked like at one time. */
interface Sample {
  readonly minute: number;
  readonly rssMiB: number;
  readonly descriptors: number;
  readonly longestTurnMs: number;
}

const samples: Sample[] = [];

const dir = scratchDir('soak');
const tree = join(dir, 'changing');
let isWell = true;
try {
  const modules = [{ name: 'changing', path: tree }, ...makeModules(dir, { flat: 2000, many: 1000 })];
  makeTree();
  const { server, port } = await startServer({ toml: toToml(modules), nodeArgs: ['--import', PROBE] });
  try {
    const clients = Array.from({ length: clientCount }, (_, index) => behave(index, port));
    await Promise.all([...clients, changeTree(), watch(server)]);
    const errors = server.logged.filter(({ level }) => level === 'error' || level === 'fatal');
    for (const error of errors.slice(0, 5)) console.log(JSON.stringify(error));
    isWell = totals.wrong === 0 && errors.length === 0 && totals.files > 0;
  } finally {
    await server.stop();
  }
} finally {
  removeTree(dir);
}
report();
// Not by itself: Node waits for ever for sockets that an attack has reset while they were ending.
process.exit(isWell ? 0 : 1);

function makeTree(): void {
  for (let directory = 0; directory < DIRECTORIES; directory++) {
    mkdirSync(join(tree, `dir${directory}`), { recursive: true });
    for (let file = 0; file < FILES_EACH; file++) {
      replaceFile(pathOf(directory, file), 0, 100 * (file + 1));
    }
  }
}

function pathOf(directory: number, file: number): string {
  return join(tree, `dir${directory}`, `file${file}`);
}

async function changeTree(): Promise<void> {
  for (let version = 1; !isOver(); version++) {
    replaceFile(pathOf(version % DIRECTORIES, (version * 7) % FILES_EACH), version, 50 + ((version * 97) % 3000));
    totals.changes++;
    await sleep(10);
  }
}

/** Half of the clients are honest; the others are slow, break off, or attack. */
async function behave(index: number, port: number): Promise<void> {
  const destination = join(dir, `client${index}`);
  for (let turn = 0; !isOver(); turn++) {
    if (index % 2 === 0) await pull(port, destination, []);
    else if (index % 6 === 1) await pull(port, destination, ['--bwlimit=300', '-z']);
    else if (index % 6 === 3) await abort(port, destination, 50 + ((turn * 131 + index) % 700));
    else await attack(port, index + turn);
    await sleep(20);
  }
}

/** Pulls over what the turn before has left, so that deltas are made as well, and looks at every file. */
async function pull(port: number, destination: string, options: readonly string[]): Promise<void> {
  const { exitCode } = await rsync([
    '-a',
    '--no-whole-file',
    ...options,
    moduleUrl(port, 'changing'),
    `${destination}/`,
  ]);
  totals.sessions++;
  if (exitCode !== 0) {
    totals.failed++;
    rmSync(destination, { recursive: true, force: true });
    return;
  }
  for (const name of readdirSync(destination, { recursive: true, encoding: 'utf8' })) {
    if (!/file\d+$/.test(name)) continue;
    const bytes = readFileSync(join(destination, name));
    totals.files++;
    totals.bytes += bytes.length;
    if (isOneVersion(bytes)) continue;
    totals.wrong++;
    console.log(`wrong: ${name} of ${bytes.length} bytes`);
  }
}

async function abort(port: number, destination: string, afterMs: number): Promise<void> {
  const client = spawn('rsync', ['-a', moduleUrl(port, 'changing'), `${destination}/`], { stdio: 'ignore' });
  const ended = new Promise((resolve) => client.once('close', resolve));
  const timer = setTimeout(() => client.kill('SIGKILL'), afterMs);
  await ended;
  clearTimeout(timer);
  totals.aborted++;
}

async function attack(port: number, index: number): Promise<void> {
  const attacker = new Attacker(port);
  const { play } = ATTACKS[index % ATTACKS.length]!;
  await Promise.race([play(attacker), sleep(3000, undefined, { ref: false })]);
  attacker.drop();
  totals.attacks++;
}

/** A line now and then: every ten seconds at first, every minute later. */
async function watch(server: Server): Promise<void> {
  const startedMs = performance.now();
  // What starting took is no turn that a client waited for.
  await askProbe(server);
  while (!isOver()) {
    await sleep(samples.length < 6 ? 10_000 : 60_000);
    const { longestTurnMs, collectorMs } = await askProbe(server);
    const sample = {
      minute: (performance.now() - startedMs) / 60_000,
      rssMiB: residentMiB(server.pid),
      descriptors: readdirSync(`/proc/${server.pid}/fd`).length,
      longestTurnMs,
    };
    samples.push(sample);
    console.log(
      `${sample.minute.toFixed(1)} min: ${sample.rssMiB.toFixed()} MiB, ${sample.descriptors} descriptors, ` +
        `longest turn ${longestTurnMs.toFixed()} ms (garbage collector ${collectorMs.toFixed()}), ${totals.sessions} pulls`,
    );
  }
}

/** Growth per minute between the second half's first and last sample: the first half fills caches and heaps. */
function slope(of: (sample: Sample) => number): string {
  const late = samples.slice(Math.floor(samples.length / 2));
  const [first, last] = [late[0], late.at(-1)];
  if (first === undefined || last === undefined || last.minute <= first.minute) return 'n/a';
  return ((of(last) - of(first)) / (last.minute - first.minute)).toFixed(2);
}

function report(): void {
  const turns = samples.map(({ longestTurnMs }) => longestTurnMs);
  console.log(
    `pulls ${totals.sessions} (${totals.failed} reported a failure), aborted ${totals.aborted}, attacks ${totals.attacks}`,
  );
  console.log(
    `changes ${totals.changes}; files verified ${totals.files}, bytes verified ${totals.bytes}, wrong ${totals.wrong}`,
  );
  console.log(
    `slope: ${slope(({ rssMiB }) => rssMiB)} MiB/min, ${slope(({ descriptors }) => descriptors)} descriptors/min`,
  );
  console.log(`longest turn of the event loop: ${Math.max(...turns).toFixed()} ms of CPU`);
  console.log(isWell ? 'well' : 'NOT WELL');
}
