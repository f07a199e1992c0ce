/**
 * Rsync clients of other Debian releases, each in a root directory that mmdebstrap makes once; clients.ts lists them.
 *
 * A program of such a root runs with the root's own loader and libraries, not in a chroot: it needs no privileges and
 * sees the same directories as the system's client.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '../helpers/scratch.ts';

/** A release, what is installed in it, and at most one package that is put in the place of the release's own. */
interface Root {
  readonly name: RootName;
  readonly suite: string;
  readonly packages: readonly string[];
  readonly instead?: PinnedPackage;
}

/** A package of the mirror's pool that no index names any more, so that nobody but this sum vouches for it. */
interface PinnedPackage {
  readonly path: string;
  readonly sha256: string;
}

export type RootName = 'bullseye' | 'trixie' | 'trixie-3.4' | 'sid';

const ROOTS: readonly Root[] = [
  { name: 'bullseye', suite: 'bullseye', packages: ['rsync'] },
  { name: 'trixie', suite: 'trixie', packages: ['rsync'] },
  {
    name: 'trixie-3.4',
    suite: 'trixie',
    packages: ['rsync'],
    instead: {
      path: 'pool/main/r/rsync/rsync_3.4.1+ds1-5+deb13u1_amd64.deb',
      sha256: '5fa05a5af32de74f7bde792945b0c6496c726e4786ef6b0e3c460c17ef0b3b23',
    },
  },
  { name: 'sid', suite: 'sid', packages: ['rsync', 'gokr-rsync'] },
];

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
export function rootCommand(name: RootName, program: string): readonly [string, ...string[]] | null {
  const root = join(ROOTS_DIR, name);
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
export function packageVersion(root: RootName, name: string): string {
  const status = readFileSync(join(ROOTS_DIR, root, 'var/lib/dpkg/status'), 'latin1');
  const record = status.split('\n\n').find((text) => text.startsWith(`Package: ${name}\n`));
  return /^Version: (.*)$/m.exec(record ?? '')?.[1] ?? 'unknown';
}

/** Makes the roots that are missing; returns one line for each that could not be made. Needs the network. */
export async function makeClientRoots(): Promise<string[]> {
  const problems: string[] = [];
  for (const root of ROOTS) {
    const error = isComplete(root) ? null : await makeRoot(root);
    if (error !== null) problems.push(`root ${root.name}: ${error}`);
  }
  return problems;
}

function isComplete({ name, packages }: Root): boolean {
  return packages.every((program) => rootCommand(name, program) !== null);
}

/** Returns null for success, else what went wrong. */
async function makeRoot(root: Root): Promise<string | null> {
  const tool = ensureMmdebstrap();
  if (tool !== null) return tool;
  if (MIRROR === null) return 'no Debian mirror known: set DEBIAN_MIRROR';
  mkdirSync(ROOTS_DIR, { recursive: true });
  // Made under another name: a root that is there is complete, also when a run was interrupted.
  const dir = mkdtempSync(join(ROOTS_DIR, `.${root.name}-`));
  console.error(`making the root ${root.name} in ${ROOTS_DIR} (about a minute)`);
  try {
    const hooks = root.instead === undefined ? [] : installing(await download(MIRROR, root.instead, dir));
    const output = fill(join(dir, 'root'), root, MIRROR, hooks);
    // Another run may have made it in the meantime, and be using it.
    if (output === null && !isComplete(root)) {
      removeTree(join(ROOTS_DIR, root.name));
      renameSync(join(dir, 'root'), join(ROOTS_DIR, root.name));
    }
    return output;
  } catch (error) {
    return String(error);
  } finally {
    removeTree(dir);
  }
}

/** Fetches a package into `dir`. @throws Error when the mirror has no such file or it is another one. */
async function download(mirror: string, { path, sha256 }: PinnedPackage, dir: string): Promise<string> {
  const response = await fetch(`${mirror}/${path}`, { signal: AbortSignal.timeout(60_000) });
  if (!response.ok) throw new Error(`${path}: the mirror answers ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (createHash('sha256').update(bytes).digest('hex') !== sha256) throw new Error(`${path}: not the file it was`);
  const file = join(dir, 'instead.deb');
  writeFileSync(file, bytes);
  return file;
}

/** Arguments of mmdebstrap that install this package at the end. */
function installing(file: string): string[] {
  return [
    `--customize-hook=upload ${file} /instead.deb`,
    '--customize-hook=chroot "$1" dpkg --install --force-downgrade /instead.deb',
    '--customize-hook=rm "$1/instead.deb"',
  ];
}

function fill(dir: string, { suite, packages }: Root, mirror: string, hooks: readonly string[]): string | null {
  const args = ['--variant=minbase', '--aptopt=Acquire::Retries "3"', `--include=${packages.join(',')}`, ...hooks];
  const output = mmdebstrap([...args, suite, dir, mirror]);
  if (output === null || !/is expired/.test(output)) return output;
  // A frozen mirror: signatures are checked as always, only the date is not.
  console.error(`the mirror's ${suite} is older than its validity; taken all the same`);
  removeTree(dir);
  return mmdebstrap([...args, '--aptopt=Acquire::Check-Valid-Until "false"', suite, dir, mirror]);
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
