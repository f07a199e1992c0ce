/** What of the machine this program itself needs to run: Node, its libraries, our code. confine.ts keeps it reachable. */

import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { SandboxError } from '../errors.ts';
import type { TreeUse } from './mounts.ts';

/** A file or directory that must stay where it is. */
export interface RuntimeFile {
  /** Real path: no link is on the way. */
  readonly path: string;
  readonly use: TreeUse;
}

/** Links by which such files are looked for: path and target. */
export type RuntimeLinks = ReadonlyMap<string, string>;

export interface Runtime {
  readonly files: readonly RuntimeFile[];
  readonly links: RuntimeLinks;
}

/** Program loaders by their well-known names, which programs hold inside: glibc and musl. */
const LOADERS = [
  '/lib64/ld-linux-x86-64.so.2',
  '/lib/ld-linux-aarch64.so.1',
  '/lib/ld-musl-x86_64.so.1',
  '/lib/ld-musl-aarch64.so.1',
];

/** Where the loader finds libraries in places that it does not look at by itself. */
const LOADER_CACHE = '/etc/ld.so.cache';

/** More links than that on one way are a loop. */
const MAX_HOPS = 40;

/**
 * Lists the files of the running program.
 * @param main path of the program's main file, argv[1].
 * @throws SandboxError when something of it cannot be found.
 */
export function findRuntime(main: string): Runtime {
  const links = new Map<string, string>();
  const programs = mappedPrograms();
  const code = codeOf(follow(main, links));
  for (const loader of LOADERS.filter((path) => existsSync(path))) follow(loader, links);
  for (const program of programs) for (const alias of aliasesOf(program)) follow(alias, links);
  const files: RuntimeFile[] = [
    ...programs.map((path) => ({ path, use: 'program' }) as const),
    ...[...code, LOADER_CACHE]
      .filter((path) => existsSync(path))
      .map((path) => ({ path: follow(path, links), use: 'data' }) as const),
    { path: '/dev/null', use: 'device' },
  ];
  return { files, links };
}

/** Everything executable that this process has mapped: its program, the loader, libraries. */
function mappedPrograms(): string[] {
  const maps = readFileSync('/proc/self/maps', 'latin1');
  const paths = [...maps.matchAll(/^\S+ ..x. \S+ \S+ \d+ +(\/.*)$/gm)].map(([, path]) => path!);
  const gone = paths.find((path) => !existsSync(path));
  if (gone !== undefined) throw new SandboxError(`${gone}, which this program runs from, is not there any more`);
  return [...new Set(paths)];
}

/** Names beside a library that lead to it: libstdc++.so.6 for libstdc++.so.6.0.30. */
function aliasesOf(path: string): string[] {
  const stem = /^[^.-]*/.exec(basename(path))![0];
  const directory = dirname(path);
  const names = readdirSync(directory).filter((name) => name.startsWith(stem) && name.includes('.so'));
  return names.map((name) => join(directory, name)).filter((alias) => alias !== path && leadsTo(alias, path));
}

function leadsTo(alias: string, path: string): boolean {
  try {
    return lstatSync(alias).isSymbolicLink() && realpathSync(alias) === path;
  } catch {
    return false;
  }
}

/** The sources with their package, or the bundle, and the packages where Node looks for them. Real paths. */
function codeOf(main: string): string[] {
  const directory = dirname(main);
  const project = dirname(directory);
  const isSource = basename(directory) === 'src' && existsSync(join(project, 'package.json'));
  if (!isSource) return [...bundleOf(main), ...packagesAbove(directory)];
  return [directory, join(project, 'package.json'), ...packagesAbove(project)];
}

/** What is started, the files of the program behind it and the code that V8 has compiled of them (deploy/build/bundle.ts). */
function bundleOf(main: string): string[] {
  const directory = dirname(main);
  const files = readdirSync(directory).filter(
    (name) => name.startsWith(basename(main, 'mjs')) && /\.(cjs|cache)$/.test(name),
  );
  return [main, ...files.map((name) => join(directory, name))];
}

/** The directories in which Node looks for packages. */
function packagesAbove(directory: string): string[] {
  const own = join(directory, 'node_modules');
  const above = dirname(directory);
  return [...(existsSync(own) ? [own] : []), ...(above === directory ? [] : packagesAbove(above))];
}

/** The real path; the links on the way are added to `links`. */
function follow(path: string, links: Map<string, string>): string {
  const pending = path
    .split('/')
    .filter((part) => part !== '')
    .reverse();
  let walked = '';
  for (let name = pending.pop(), hops = 0; name !== undefined; name = pending.pop()) {
    const at = `${walked}/${name}`;
    if (name === '..') walked = dirname(walked).replace(/^\/$/, '');
    else if (name !== '.') {
      if (!statOf(at).isSymbolicLink()) {
        walked = at;
        continue;
      }
      if (++hops > MAX_HOPS) throw new SandboxError(`${path}: too many links on the way`);
      const target = readlinkSync(at);
      links.set(at, target);
      if (target.startsWith('/')) walked = '';
      pending.push(
        ...target
          .split('/')
          .filter((part) => part !== '')
          .reverse(),
      );
    }
  }
  return walked === '' ? '/' : walked;
}

function statOf(path: string): Stats {
  try {
    return lstatSync(path);
  } catch (thrown) {
    throw new SandboxError(`cannot look at ${path}: ${(thrown as Error).message}`, { cause: thrown });
  }
}

/** Whether everybody may read a path, once he has come there. */
export function isReadableToAll(path: string): boolean {
  return (statSync(path).mode & 0o004) !== 0;
}

/** Whether everybody may reach and read a path: what another user needs who is to run from it. */
export function isOpenToAll(path: string): boolean {
  return isReadableToAll(path) && isEnterable(dirname(path));
}

function isEnterable(directory: string): boolean {
  if ((statSync(directory).mode & 0o001) === 0) return false;
  return directory === '/' || isEnterable(dirname(directory));
}
