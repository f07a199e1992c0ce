/**
 * Rsync clients of other Debian releases, each in a root directory that mmdebstrap makes once; clients.ts lists them.
 *
 * A program of such a root runs with the root's own loader and libraries, not in a chroot: it needs no privileges and
 * sees the same directories as the system's client.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '../helpers/scratch.ts';

/** The roots: a release and what is installed in it. */
const ROOTS = [
  { suite: 'bullseye', packages: ['rsync'] },
  { suite: 'trixie', packages: ['rsync'] },
  { suite: 'sid', packages: ['rsync', 'gokr-rsync'] },
] as const;

export type Suite = (typeof ROOTS)[number]['suite'];

/** The mirror that this machine's own apt uses, unless DEBIAN_MIRROR names another; null when neither is known. */
const MIRROR = process.env.DEBIAN_MIRROR ?? mirrorOfApt();
const UNATTENDED = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };

function mirrorOfApt(): string | null {
  const folder = '/etc/apt/sources.list.d';
  const files = [
    '/etc/apt/sources.list',
    ...(existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []),
  ];
  const text = files.map((file) => (existsSync(file) ? readFileSync(file, 'utf8') : '')).join('\n');
  return /^(?:deb\b.*?|URIs:\s*)(https?:\/\/\S+\/debian)\/?(?:\s|$)/m.exec(text)?.[1] ?? null;
}

/** Where the roots are kept between runs: below XDG_CACHE_HOME, else in the user's cache directory. */
export const ROOTS_DIR = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'gokr-rsyncd-clients');

/** Command line of a program in a root; null when the root or the program is not there. */
export function rootCommand(suite: Suite, program: string): readonly [string, ...string[]] | null {
  const root = join(ROOTS_DIR, suite);
  const path = join(root, 'usr/bin', program);
  if (!existsSync(path)) return null;
  const triplet = readdirSync(join(root, 'lib')).find((name) => name.includes('-linux-gnu'));
  if (triplet === undefined) return null;
  const libraries = [join(root, 'lib', triplet), join(root, 'usr/lib', triplet)] as const;
  const loader = readdirSync(libraries[0]).find((name) => /^ld-linux.*\.so\.\d+$/.test(name));
  if (loader === undefined) return null;
  return [join(libraries[0], loader), '--library-path', libraries.join(':'), path];
}

/** Version of an installed package of a root, as dpkg noted it. */
export function packageVersion(suite: Suite, name: string): string {
  const status = readFileSync(join(ROOTS_DIR, suite, 'var/lib/dpkg/status'), 'latin1');
  const record = status.split('\n\n').find((text) => text.startsWith(`Package: ${name}\n`));
  return /^Version: (.*)$/m.exec(record ?? '')?.[1] ?? 'unknown';
}

/** Makes the roots that are missing; returns one line for each that could not be made. Needs the network. */
export function makeClientRoots(): string[] {
  return ROOTS.flatMap(({ suite, packages }) => {
    if (isComplete(suite, packages)) return [];
    const error = makeRoot(suite, packages);
    return error === null ? [] : [`root of ${suite}: ${error}`];
  });
}

function isComplete(suite: Suite, packages: readonly string[]): boolean {
  return packages.every((name) => rootCommand(suite, name) !== null);
}

function makeRoot(suite: Suite, packages: readonly string[]): string | null {
  const tool = ensureMmdebstrap();
  if (tool !== null) return tool;
  if (MIRROR === null) return 'no Debian mirror known: set DEBIAN_MIRROR';
  mkdirSync(ROOTS_DIR, { recursive: true });
  // Made under another name: a root that is there is complete, also when a run was interrupted.
  const dir = mkdtempSync(join(ROOTS_DIR, `.${suite}-`));
  const args = ['--variant=minbase', '--aptopt=Acquire::Retries "3"', `--include=${packages.join(',')}`];
  console.error(`making a root of ${suite} in ${ROOTS_DIR} (about a minute)`);
  let output = mmdebstrap([...args, suite, join(dir, 'root'), MIRROR]);
  if (output !== null && /is expired/.test(output)) {
    // A frozen mirror: signatures are checked as always, only the date is not.
    console.error(`the mirror's ${suite} is older than its validity; taken all the same`);
    removeTree(join(dir, 'root'));
    const anyDate = '--aptopt=Acquire::Check-Valid-Until "false"';
    output = mmdebstrap([...args, anyDate, suite, join(dir, 'root'), MIRROR]);
  }
  // Another run may have made it in the meantime, and be using it.
  if (output === null && !isComplete(suite, packages)) {
    removeTree(join(ROOTS_DIR, suite));
    renameSync(join(dir, 'root'), join(ROOTS_DIR, suite));
  }
  removeTree(dir);
  return output;
}

/** Returns null for success, else the end of what it wrote. */
function mmdebstrap(args: readonly string[]): string | null {
  const made = spawnSync('mmdebstrap', args, { encoding: 'latin1', env: UNATTENDED, timeout: 600_000 });
  if (made.status === 0) return null;
  return `${made.error?.message ?? ''}${made.stdout}${made.stderr}`.trim().split('\n').slice(-8).join('\n');
}

function ensureMmdebstrap(): string | null {
  const found = (): boolean => spawnSync('mmdebstrap', ['--version']).status === 0;
  if (found()) return null;
  if (process.getuid?.() === 0) {
    installPackage('mmdebstrap');
    if (found()) return null;
  }
  return 'install the package mmdebstrap';
}

/** Installs a Debian package on this machine; as root only, and without complaint when it fails. */
export function installPackage(name: string): void {
  const run = (...args: string[]): boolean =>
    spawnSync('apt-get', args, { stdio: ['ignore', 2, 2], env: UNATTENDED }).status === 0;
  const install = ['install', '-y', '--no-install-recommends', name];
  // A fresh image has no package lists.
  if (!run(...install) && run('update')) run(...install);
}
