/** One pull from one daemon and everything about it that a user can see, without what legitimately varies. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compareSnapshots } from '../helpers/compare-snapshots.ts';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import { mustRun, type RunResult } from '../helpers/run.ts';
import type { RunningDaemon } from '../helpers/running-daemon.ts';
import { type Snapshot, snapshot } from '../helpers/snapshot.ts';
import { type RsyncClient, systemClient } from '../setup/clients.ts';
import type { EquivalenceCase } from './cases.ts';

export interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: readonly string[];
  /** The lines of stdout whose order the daemon determines. */
  readonly ordered: readonly string[];
  readonly stderr: readonly string[];
  /** What --stats counts; null without. */
  readonly receivedBytes: number | null;
  readonly tree: Snapshot;
}

export interface PullRequest {
  readonly asked: EquivalenceCase;
  readonly protocol: number;
  /** Directory copied as the destination; null for an empty one. */
  readonly template: string | null;
  /** Directory copied as `../base`; needed by cases that say `beside`. */
  readonly base?: string | null;
  /** An empty directory for this pull alone. */
  readonly dir: string;
  readonly startedMs: number;
  /** The system's rsync when absent. */
  readonly client?: RsyncClient;
  /** When the client is killed; default 50 000, less than a test may take. */
  readonly deadlineMs?: number;
}

/** Pulls into `dir`/dst and reads back the result. */
export async function pull(daemon: RunningDaemon, request: PullRequest): Promise<Outcome> {
  const { asked, dir, protocol, startedMs } = request;
  await prepare(request);
  const result = await runClient(daemon, request);
  const stdout = linesOf(result.stdout).map(withoutPlace(daemon, dir));
  const received = stdout.find((line) => line.startsWith('Total bytes received: '));
  const compared = stdout.filter((line) => !VARYING.test(line));
  return {
    exitCode: result.exitCode,
    stdout: compared.toSorted(),
    ordered: compared.filter((line) => (protocol >= 29 ? ITEM : LISTED).test(line)),
    stderr: linesOf(result.stderr)
      .filter((line) => !VARYING.test(line) && (daemon.name === 'ours' || !RESET.test(line)))
      .map(withoutPlace(daemon, dir))
      .map(normalise)
      .sort(),
    receivedBytes: received === undefined ? null : Number(received.replace(/\D/g, '')),
    tree: snapshot(join(dir, 'dst'), { startedMs, atimes: asked.args.some((arg) => arg.startsWith('-aU')) }),
  };
}

async function prepare({ asked, dir, template, base }: PullRequest): Promise<void> {
  const destination = join(dir, 'dst');
  mkdirSync(dir, { recursive: true });
  if (template === null) mkdirSync(destination);
  else await mustRun('cp', ['-a', template, destination]);
  if (asked.filesFrom !== undefined) writeFileSync(join(dir, 'names'), asked.filesFrom, 'latin1');
  if (asked.beside === undefined) return;
  mkdirSync(join(dir, 'spare'));
  // A copy for each pull: --link-dest makes links to its files.
  await mustRun('cp', ['-a', base!, join(dir, 'base')]);
}

function runClient(daemon: RunningDaemon, request: PullRequest): Promise<RunResult> {
  const { asked, dir, protocol, client = systemClient(), deadlineMs = 50_000 } = request;
  const urls = (asked.sources ?? ['']).map((source) => moduleUrl(daemon.port, asked.module, source));
  const added = [
    ...(asked.filesFrom === undefined ? [] : ['--files-from=names']),
    ...(asked.bare ? [] : ['-ii', '--stats']),
    // The newest protocol without being asked for: the greeting then says what the client itself would say.
    ...(protocol >= client.protocol ? [] : [`--protocol=${protocol}`]),
  ];
  return rsync([...asked.args, ...added, ...urls, 'dst/'], { cwd: dir, deadlineMs }, client);
}

/** Differences of two outcomes, one line each; empty when a user could not tell the daemons apart. */
export function compareOutcomes(expected: Outcome, actual: Outcome): string[] {
  return [
    ...(expected.exitCode === actual.exitCode
      ? []
      : [`exit code should be ${expected.exitCode}, is ${actual.exitCode}`]),
    ...(expected.exitCode === null ? ['the client of the reference was killed at the deadline'] : []),
    ...(actual.exitCode === null ? ['the client of ours was killed at the deadline'] : []),
    ...compareLines('stderr', expected.stderr, actual.stderr),
    ...compareLines('stdout', expected.stdout, actual.stdout),
    ...compareOrder(expected.ordered, actual.ordered),
    ...compareBytes(expected.receivedBytes, actual.receivedBytes),
    ...compareSnapshots(expected.tree, actual.tree).map((line) => `tree: ${line}`),
  ];
}

/** Byte counts, durations and memory: they depend on framing and on the machine. */
const VARYING =
  /^(File list (size|generation|transfer)|Total bytes |sent [\d.,]+[KMG]? bytes|total size is |rsync\[\d+\] \(.*heap statistics:| {2}(arena|ordblks|smblks|hblks|hblkhd|allmem|usmblks|fsmblks|uordblks|fordblks|keepcost): )/;

/** One line of --list-only: the client prints the list as it arrives. */
const LISTED = /^[-dlcbps][-rwxstST]{9} /;

/**
 * One itemized line. From protocol 29 on they come in the order of our replies; before that, and for deletions and
 * other messages in every protocol, two processes of the client print at the same time.
 */
const ITEM = /^([-dlcbps][-rwxstST]{9}|[<>ch.][fdLDS][^ ]{9}|[.][fdLDS] {9}) /;

/** The reference sometimes closes with unread input; we never may (1-session.md 6.5), so only its resets are dropped. */
const RESET = /: (Connection reset by peer \(104\)|Broken pipe \(32\))$/;

/** Takes out of a line what belongs to this pull alone: directory, port, processes, names of temporary files. */
function withoutPlace(daemon: RunningDaemon, dir: string): (line: string) => string {
  return (line) =>
    line
      .replaceAll(dir, 'DIR')
      .replaceAll(`:${daemon.port}`, ':PORT')
      .replace(/ port \d+$/, ' port PORT')
      // flist2 wipes its counter, and which process of the client prints the next line is chance.
      .replace(/^(?: {20})+(?=\S)/, '')
      // -vvv of 3.2: the access time is the moment of the pull.
      .replace(/^(set modtime, atime of .*\)) \S+ \S+, \(\d+\) .*$/, '$1')
      .replace(/pid=\d+/, 'pid=PID')
      .replace(/(^|[ /"])(\.[^/]+)\.[A-Za-z0-9]{6}(?= to | from |"|$)/, '$1$2.XXXXXX');
}

function linesOf(output: Buffer): string[] {
  return output
    .toString('latin1')
    .split('\n')
    .filter((line) => line !== '');
}

/** Which process of the client complains, and from which line of its source, is a matter of timing. */
function normalise(line: string): string {
  return (
    line
      .replace(/ at \w+\.c\(\d+\) \[(generator|receiver|Receiver)=/, ' at [client=')
      .replace(/\[(generator|receiver|Receiver)\]/, '[client]')
      // Without chroot the reference writes a path from its current directory, with a slash only behind an argument.
      .replace(/"\/([^"]*" \(in )/, '"$1')
      .replace(/\(\d+ bytes received so far\)/, '(… bytes received so far)')
  );
}

function compareLines(stream: string, expected: readonly string[], actual: readonly string[]): string[] {
  const missing = subtract(expected, actual).map((line) => `${stream} lacks: ${line}`);
  const added = subtract(actual, expected).map((line) => `${stream} has added: ${line}`);
  return [...missing, ...added].slice(0, 40);
}

/** Framing and chunks of compressed data differ a little; data sent uncompressed or whole differ by more. */
function compareBytes(expected: number | null, actual: number | null): string[] {
  if (expected === null || actual === null) return [];
  const excess = actual > expected * 1.1 + 4096;
  return excess ? [`bytes received should be about ${expected}, are ${actual}`] : [];
}

function compareOrder(expected: readonly string[], actual: readonly string[]): string[] {
  const at = expected.findIndex((line, index) => line !== actual[index]);
  return at < 0 ? [] : [`order: line ${at} should be ${expected[at]}, is ${actual[at]}`];
}

/** Lines of `from` that `other` does not have, as often as they are missing. */
function subtract(from: readonly string[], other: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const line of other) left.set(line, (left.get(line) ?? 0) + 1);
  return from.filter((line) => {
    const count = left.get(line) ?? 0;
    left.set(line, count - 1);
    return count <= 0;
  });
}
