/** Finds the rsync clients of the tests; helpers/rsync.ts uses them, and a run calls `setup` once before its tests. */

import { spawnSync } from 'node:child_process';

export interface RsyncClient {
  /** Short name for test titles. */
  readonly name: string;
  /** Program and leading arguments; a client in another root is `['chroot', ROOT, 'rsync']`. */
  readonly command: readonly [string, ...string[]];
  /** First line of `--version`. */
  readonly version: string;
}

interface Candidate {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** Debian package that brings the program; absent when it must be provided by hand. */
  readonly package?: string;
}

/** Every client that a run may use. Further versions and implementations become further rows. */
const CANDIDATES: readonly [Candidate, ...Candidate[]] = [{ name: 'system', command: ['rsync'], package: 'rsync' }];

/** The clients that this machine has, in the order of the table. */
export function rsyncClients(): RsyncClient[] {
  return CANDIDATES.flatMap((candidate) => probe(candidate) ?? []);
}

/**
 * The rsync that is in PATH.
 * @throws Error when there is none and none can be installed.
 */
export function systemClient(): RsyncClient {
  const client = probe(CANDIDATES[0]);
  if (client === null) throw new Error('no rsync client: install the package rsync');
  return client;
}

/** Installs what is missing, prints each client's version; vitest's global set-up. */
export function setup(): void {
  for (const candidate of CANDIDATES) {
    if (probe(candidate) === null && candidate.package !== undefined) install(candidate.package);
    const client = probe(candidate);
    if (client === null) {
      missing(`rsync client ${candidate.name} (${candidate.command.join(' ')})`);
    } else {
      console.log(`rsync client ${client.name}: ${client.version}`);
    }
  }
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
  const known = probed.get(candidate.name);
  if (known !== undefined) return known;
  const [command, ...prefix] = candidate.command;
  const result = spawnSync(command, [...prefix, '--version'], { encoding: 'latin1' });
  if (result.status !== 0) return null;
  const client = { ...candidate, version: result.stdout.split('\n')[0]!.replace(/\s+/g, ' ') };
  probed.set(candidate.name, client);
  return client;
}

function install(name: string): void {
  if (process.getuid?.() !== 0) return;
  const options = { stdio: 'inherit', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } } as const;
  if (spawnSync('apt-get', ['install', '-y', '--no-install-recommends', name], options).status === 0) return;
  // A fresh image has no package lists.
  spawnSync('apt-get', ['update'], options);
  spawnSync('apt-get', ['install', '-y', '--no-install-recommends', name], options);
}
