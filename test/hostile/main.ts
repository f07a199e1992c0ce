/**
 * `npm run hostile`: every attack of attacks.ts against a daemon of its own, while an honest client pulls from it.
 *
 * --only NAME (repeatable), --seconds N of each measurement (default 2), --flat N names in one directory, --many N small
 * files, --rounds N tries of an attack before it counts (default 3), --strict judges the honest client's speed and the event loop
 * as the promises say, not as a loaded machine allows, --no-speed judges neither and plays all attacks against the same daemon.
 * Ends with 1 when a verdict is not `ok`.
 */

import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { numberOption, readOptions } from '../helpers/command-line.ts';
import { compareSnapshots } from '../helpers/compare-snapshots.ts';
import { toToml } from '../helpers/module-spec.ts';
import { coreSeconds, cpuSeconds, residentMiB } from '../helpers/process-stats.ts';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { snapshot } from '../helpers/snapshot.ts';
import { type ListeningServer, type Server, startServer } from '../session/support/server.ts';
import { ATTACKS, type Attack } from './attacks.ts';
import type { HonestReport } from './honest.ts';
import { askProbe, PROBE, SERVER_CORE, SERVER_PLACE, spawnClient } from './processes.ts';
import { makeModules } from './trees.ts';

/** Promised, and judged with --strict. */
const STRICT = { share: 0.5, turnMs: 50 };
/** On a machine that has other things to do. */
const LENIENT = { share: 0.2, turnMs: 150 };
/** For CI: what is judged is whether all is served, and memory. */
const UNTIMED = { share: 0, turnMs: Number.POSITIVE_INFINITY };

const GROWTH_MIB = 150;

interface Result {
  readonly attack: Attack;
  readonly cpuSeconds: number;
  readonly growthMiB: number;
  readonly longestTurnMs: number;
  /** How much of that was the garbage collector. */
  readonly collectorMs: number;
  /** Speed of the honest client, in parts of what it has alone. */
  readonly share: number;
  readonly slowestListMs: number;
  readonly hits: string;
  /** What is wrong; empty when nothing is. */
  readonly complaints: readonly string[];
}

/** What the columns mean. */
const LEGEND = `The daemon has a core of its own; honest client and attacker share the other one, where the honest client comes first.
cpu s     CPU time of the daemon during the attack
rss MiB   resident memory that the attack added, at its peak
turn ms   longest turn of the event loop, in CPU time, and what the garbage collector had of it
honest    pulls of the honest client in a second, in parts of what it has without the attack; a second is one in which the
          daemon could have had its core: what other processes took there is left out
list ms   longest time from connecting to the first bytes of the file list, for the honest client
`;

const settings = readOptions(
  `npm run hostile -- [--only NAME]… [--seconds N] [--flat N] [--many N] [--rounds N] [--strict | --no-speed]\n\n${LEGEND}`,
  {
    only: { type: 'string', multiple: true },
    seconds: { type: 'string', default: '2' },
    flat: { type: 'string', default: '50000' },
    many: { type: 'string', default: '20000' },
    rounds: { type: 'string', default: '3' },
    strict: { type: 'boolean', default: false },
    'no-speed': { type: 'boolean', default: false },
  },
);
const sizes = { flat: numberOption('flat', settings.flat, 1), many: numberOption('many', settings.many, 1) };
/** A judgement may be spoilt by the machine; the attack is played again before it counts. */
const rounds = numberOption('rounds', settings.rounds, 1);
const bounds = settings.strict ? STRICT : settings['no-speed'] ? UNTIMED : LENIENT;
const isTimed = bounds !== UNTIMED;
const seconds = numberOption('seconds', settings.seconds, 0.1);
const chosen = ATTACKS.filter(({ name }) => settings.only?.includes(name) ?? true);

const dir = scratchDir('hostile');
let failures = 0;
try {
  const modules = makeModules(dir, sizes);
  console.log(LEGEND);
  console.log(row(['attack', 'row', 'cpu s', 'rss MiB', 'turn ms', 'honest', 'list ms', 'verdict']));
  const toml = toToml(modules);
  const common = isTimed ? null : await startDaemon(toml);
  try {
    for (const attack of chosen) {
      const result = common === null ? await judge(attack, toml) : await play(attack, common.server, common.port);
      if (result.complaints.length > 0) failures++;
      console.log(lineOf(result));
    }
  } finally {
    await common?.server.stop();
  }
} finally {
  removeTree(dir);
}
console.log(`${chosen.length} attacks, ${failures} not withstood`);
process.exit(failures > 0 || chosen.length === 0 ? 1 : 0);

/** Plays an attack until a round is good, at most `--rounds` times. */
async function judge(attack: Attack, toml: string): Promise<Result> {
  let result = await playAgainstFreshDaemon(attack, toml);
  for (let round = 1; round < rounds && result.complaints.length > 0; round++) {
    result = await playAgainstFreshDaemon(attack, toml);
  }
  return result;
}

function startDaemon(toml: string): Promise<ListeningServer> {
  return startServer({ toml, wrap: SERVER_PLACE, nodeArgs: ['--import', PROBE] });
}

async function playAgainstFreshDaemon(attack: Attack, toml: string): Promise<Result> {
  const { server, port } = await startDaemon(toml);
  try {
    return await play(attack, server, port);
  } finally {
    await server.stop();
  }
}

async function play(attack: Attack, server: Server, port: number): Promise<Result> {
  // The first pulls compile the code. Where speed is not judged, nothing is measured in advance.
  if (isTimed) await honestPulls(server, port, 1);
  const alone = isTimed ? await honestPulls(server, port, seconds) : null;
  const before = await askProbe(server);
  const cpuBefore = cpuSeconds(server.pid);
  const attacker = spawnClient('attacker.ts', [String(port), attack.name]);
  await once(attacker.stdout!, 'data');
  let peakMiB = before.rssMiB;
  const sampling = setInterval(() => {
    peakMiB = Math.max(peakMiB, residentMiB(server.pid));
  }, 50);
  const during = await honestPulls(server, port, seconds);
  clearInterval(sampling);
  const after = await askProbe(server);
  const cpu = cpuSeconds(server.pid) - cpuBefore;
  attacker.kill('SIGKILL');
  const measured = {
    attack,
    cpuSeconds: cpu,
    growthMiB: peakMiB - before.rssMiB,
    longestTurnMs: after.longestTurnMs,
    collectorMs: after.collectorMs,
    share: alone === null ? Number.NaN : during.perSecond / alone.perSecond,
    slowestListMs: during.slowestListMs,
    hits: Object.entries(after.hits)
      .map(([name, count]) => `${name} ${count}`)
      .join(', '),
  };
  const complaints = [...complaintsAbout(measured, during), ...(await aftermath(server, port))];
  return { ...measured, complaints };
}

interface HonestPulls extends HonestReport {
  /** Pulls in a second in which the daemon could have had its core. */
  readonly perSecond: number;
}

async function honestPulls(server: Server, port: number, forSeconds: number): Promise<HonestPulls> {
  const othersSeconds = (): number => coreSeconds(SERVER_CORE) - cpuSeconds(server.pid);
  const client = spawnClient('honest.ts', [String(port), String(forSeconds)]);
  const lines = createInterface({ input: client.stdout! })[Symbol.asyncIterator]();
  await lines.next();
  const othersBefore = othersSeconds();
  const { value } = await lines.next();
  const taken = Math.max(0, othersSeconds() - othersBefore);
  const report = JSON.parse(value ?? 'null') as HonestReport;
  return { ...report, perSecond: report.pulls / Math.max(report.seconds - taken, report.seconds / 10) };
}

function complaintsAbout(measured: Omit<Result, 'complaints'>, during: HonestReport): string[] {
  const { attack, growthMiB, share, longestTurnMs } = measured;
  const complaints: string[] = [];
  if (during.short > 0) complaints.push(`${during.short} of ${during.pulls} pulls cut short`);
  if (share < bounds.share) complaints.push(`honest client below ${bounds.share.toFixed(2)}`);
  if (longestTurnMs > bounds.turnMs) complaints.push(`event loop busy for ${longestTurnMs.toFixed()} ms`);
  if (growthMiB > (attack.growthMiB ?? GROWTH_MIB)) complaints.push(`${growthMiB.toFixed()} MiB more`);
  return complaints;
}

/** The daemon must still be there, and give a real client every byte. */
async function aftermath(server: Server, port: number): Promise<string[]> {
  const destination = scratchDir('pulled');
  try {
    const { exitCode, stderr } = await rsync(['-a', moduleUrl(port, 'honest'), `${destination}/`]);
    if (exitCode !== 0) return [`a real client ends with ${exitCode}: ${stderr.toString().split('\n')[0]}`];
    const options = { startedMs: Number.MAX_SAFE_INTEGER };
    const differences = compareSnapshots(snapshot(join(dir, 'honest'), options), snapshot(destination, options));
    const bugs = server.logged.filter(({ level }) => level === 'error' || level === 'fatal').length;
    return [
      ...(differences.length > 0 ? ['a real client got something else'] : []),
      ...(bugs > 0 ? [`${bugs} errors logged`] : []),
    ];
  } finally {
    removeTree(destination);
  }
}

function lineOf(result: Result): string {
  const { attack, complaints } = result;
  const cells = [
    attack.name,
    attack.row,
    result.cpuSeconds.toFixed(1),
    `+${result.growthMiB.toFixed()}`,
    `${result.longestTurnMs.toFixed()} (${result.collectorMs.toFixed()})`,
    Number.isNaN(result.share) ? '-' : `${(100 * result.share).toFixed()} %`,
    result.slowestListMs.toFixed(),
    complaints.length === 0 ? 'ok' : `NOT OK: ${complaints.join('; ')}`,
  ];
  return `${row(cells)}${result.hits === '' ? '' : `  (${result.hits})`}`;
}

function row(cells: readonly string[]): string {
  const widths = [40, 6, 6, 8, 8, 7, 8, 0];
  return cells.map((cell, index) => (index === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[index]!))).join('  ');
}
