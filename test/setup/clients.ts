/** Finds the rsync clients of the tests; helpers/rsync.ts uses them, and a run calls `setup` once before its tests. */

import { spawnSync } from 'node:child_process';
import { bundleProgram } from '../helpers/program.ts';
import { installPackage, makeClientRoots, packageVersion, type RootName, rootCommand } from './client-roots.ts';

export interface RsyncClient {
  /** Short name for test titles and --client. */
  readonly name: string;
  /** `rsync` takes C rsync's options and prints what it prints; the others have options and texts of their own. */
  readonly family: Family;
  /** Program and leading arguments. */
  readonly command: readonly [string, ...string[]];
  /** What the program or its package calls itself. */
  readonly version: string;
  /** Newest protocol that it speaks. */
  readonly protocol: number;
}

type Family = 'rsync' | 'gokr' | 'openrsync';

interface Candidate {
  readonly name: string;
  readonly family: Family;
  /** A name in PATH. */
  readonly program: string;
  /** The root that has the program; absent for this machine's own. */
  readonly root?: RootName;
}

const SYSTEM: Candidate = { name: 'system', family: 'rsync', program: 'rsync' };

/** Clients of other versions and implementations. No Debian release has openrsync: it is used where PATH has it. */
const OTHERS: readonly Candidate[] = [
  { name: 'bullseye', family: 'rsync', program: 'rsync', root: 'bullseye' },
  { name: 'trixie', family: 'rsync', program: 'rsync', root: 'trixie' },
  { name: 'trixie-3.4', family: 'rsync', program: 'rsync', root: 'trixie-3.4' },
  { name: 'sid', family: 'rsync', program: 'rsync', root: 'sid' },
  { name: 'gokr', family: 'gokr', program: 'gokr-rsync', root: 'sid' },
  { name: 'openrsync', family: 'openrsync', program: 'openrsync' },
];

/**
 * The rsync that is in PATH.
 * @throws Error when there is none and none can be installed.
 */
export function systemClient(): RsyncClient {
  const client = probe(SYSTEM);
  if (client === null) throw new Error('no rsync client: install the package rsync');
  return client;
}

/** The other clients that are there, without making any. */
export function otherClients(): RsyncClient[] {
  return OTHERS.flatMap((candidate) => probe(candidate) ?? []);
}

/** Names of the clients in the table that are not there. */
export function absentClients(): string[] {
  return OTHERS.filter((candidate) => probe(candidate) === null).map(({ name }) => name);
}

/** Installs what is missing, prints each client's version, bundles our program; vitest's global set-up. */
export async function setup(): Promise<() => void> {
  if (probe(SYSTEM) === null && process.getuid?.() === 0) installPackage('rsync');
  if (process.env.MATRIX_CLIENTS === '1') {
    for (const problem of await makeClientRoots()) missing(problem);
  }
  if (probe(SYSTEM) === null) missing('rsync client of this machine');
  else for (const client of [systemClient(), ...otherClients()]) console.log(describeClient(client));
  const absent = absentClients();
  // The network is not a condition of the tests, so this is no failure in CI: `npm run matrix` is where it is one.
  if (absent.length > 0)
    console.warn(`\n*** not tested with other clients: ${absent.join(', ')} (MATRIX_CLIENTS=1 makes Debian's) ***\n`);
  return bundleProgram();
}

/** One line for a log. */
export function describeClient({ name, version, protocol }: RsyncClient): string {
  return `client ${name}: ${version}, protocol ${protocol}`;
}

/** Says loudly that something is missing, and fails where nobody would read it (CI). */
export function missing(what: string): void {
  if (process.env.CI === 'true') throw new Error(`missing in CI: ${what}`);
  console.warn(`\n*** SKIPPED TESTS: missing ${what} ***\n`);
}

/** True when the tests run with the privileges that trees with owners and devices need; complains when not. */
export function hasRoot(): boolean {
  if (process.getuid?.() === 0) return true;
  missing('root privileges (owners, device nodes, a daemon that cannot write its module)');
  return false;
}

const probed = new Map<string, RsyncClient>();

/** Asks a program for its version; remembered, because every pull needs the answer. */
function probe(candidate: Candidate): RsyncClient | null {
  const { name, family, program, root } = candidate;
  const known = probed.get(name);
  if (known !== undefined) return known;
  const command = root === undefined ? ([program] as const) : rootCommand(root, program);
  if (command === null) return null;
  const [path, ...prefix] = command;
  const result = spawnSync(path, [...prefix, '--version'], { encoding: 'latin1' });
  if (result.error !== undefined || result.status !== 0) return null;
  const client = { name, family, command, ...versionOf(candidate, result.stdout) };
  probed.set(name, client);
  return client;
}

function versionOf({ family, program, root }: Candidate, output: string): { version: string; protocol: number } {
  const line = output.split('\n')[0]!.replace(/\s+/g, ' ').trim();
  const [, plain, protocol] = /^(.*?) protocol version (\d+)$/.exec(line) ?? [];
  const version = root === undefined ? (plain ?? line) : `${program} ${packageVersion(root, program)} of ${root}`;
  // The implementations that do not say speak 27 (1-session.md 11).
  return { version, protocol: family === 'rsync' ? Number(protocol) : 27 };
}
