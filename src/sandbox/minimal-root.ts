/**
 * A root directory that holds the modules, what the program needs to run, its own /proc entry, and nothing else; confine.ts moves
 * into it before it gives up root. All of it is read-only, and only the program's own files can be executed.
 *
 * Everything stays under its own path, so that the configuration means the same inside.
 */

import { closeSync, lstatSync, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { SandboxError } from '../errors.ts';
import { isInside } from './inside.ts';
import {
  attachTree,
  cloneTree,
  makeReadOnly,
  mountTmpfs,
  pivotHere,
  rejoinMounts,
  type TreeUse,
  unshareMounts,
} from './mounts.ts';
import type { RuntimeLinks } from './runtime-files.ts';
import type { Kernel } from './syscalls.ts';

/** What the new root is to hold. */
export interface RootPlan {
  /** Directories that are served. `open` gives a descriptor for what lies at `path`, looked up in the mounts of this thread. */
  readonly modules: readonly { readonly path: string; readonly open: () => number }[];
  /** Paths to which links lead that lie in such a directory: there they must be followed. */
  readonly linked: readonly string[];
  /** Files and directories by their real paths. */
  readonly files: readonly { readonly path: string; readonly use: TreeUse }[];
  readonly links: RuntimeLinks;
}

/** Room for empty directories, mount points and links alone. */
const TMPFS_OPTIONS = 'size=1m,nr_inodes=16k,mode=755';

/** Existing directories that the new root may be put together on; hidden by it, in our mounts only. */
const PLACES = ['/run', '/tmp', '/mnt'];

/** A tree that waits for its place. */
interface Tree {
  readonly path: string;
  readonly use: TreeUse;
  readonly isDirectory: boolean;
  readonly fd: number;
}

/**
 * Moves this thread into a new root; the process follows with the next exec. Main thread only, and nothing asynchronous may
 * touch files until then: the other threads are still outside.
 * @throws SandboxError, with everything as it was, when the kernel does not let us.
 */
export function enterMinimalRoot(kernel: Kernel, plan: RootPlan): void {
  const workingDirectory = process.cwd();
  const outside = openSync('/proc/self/ns/mnt', 'r');
  const umask = process.umask(0o022);
  try {
    unshareMounts(kernel);
    try {
      moveInto(kernel, plan);
    } catch (thrown) {
      rejoinMounts(kernel, outside);
      process.chdir(workingDirectory);
      if (thrown instanceof SandboxError) throw thrown;
      throw new SandboxError((thrown as Error).message, { cause: thrown });
    }
  } finally {
    process.umask(umask);
    closeSync(outside);
  }
}

function moveInto(kernel: Kernel, plan: RootPlan): void {
  const base = PLACES.find(isDirectory);
  if (base === undefined) throw new SandboxError(`none of ${PLACES.join(', ')} is there to build a root on`);
  // All of them before the first mount: it may hide what others are copied from.
  const trees = collectTrees(kernel, plan);
  const self = cloneTree(kernel, `/proc/${process.pid}`, 'data');
  const whole = trees.find(({ path }) => path === '/');
  if (whole === undefined) mountTmpfs(kernel, base, TMPFS_OPTIONS);
  else attachTree(kernel, whole.fd, base);
  const placed = whole === undefined ? [] : [whole];
  for (const tree of trees) if (tree !== whole) placeTree(kernel, base, tree, placed);
  placeLinks(base, plan.links);
  placeProc(kernel, base, self);
  process.chdir(base);
  pivotHere(kernel);
  process.chdir('/');
  makeReadOnly(kernel, '/');
}

/** Parents before what lies in them. */
function collectTrees(kernel: Kernel, { modules, linked, files, links }: RootPlan): Tree[] {
  const others = [...files.map(({ path }) => path), ...links.keys(), ...linked.map(normalPath)];
  const trees = modules.map(({ path: given, open }): Tree => {
    const path = normalPath(given);
    // What the program itself needs may be reached through links as well.
    const use = others.some((other) => other !== path && isInside(other, path)) ? 'data' : 'linkless';
    const place = open();
    try {
      return { path, use, isDirectory: true, fd: cloneTree(kernel, place, use) };
    } finally {
      closeSync(place);
    }
  });
  for (const { path, use } of files) {
    trees.push({ path, use, isDirectory: isDirectory(path), fd: cloneTree(kernel, path, use) });
  }
  return trees.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Without doubled, trailing and `.` components. */
function normalPath(path: string): string {
  return `/${path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')}`;
}

function placeTree(kernel: Kernel, base: string, tree: Tree, placed: Tree[]): void {
  const { path, use, isDirectory: isForDirectory, fd } = tree;
  const around = placed.find((other) => isInside(path, other.path));
  if (around !== undefined && holdsData(use) && holdsData(around.use)) {
    // Visible already, as part of the tree around it.
    closeSync(fd);
    return;
  }
  if (around === undefined) {
    mkdirSync(isForDirectory ? base + path : base + dirname(path), { recursive: true });
    if (!isForDirectory) writeFileSync(base + path, '');
  }
  attachTree(kernel, fd, base + path);
  placed.push(tree);
}

function holdsData(use: TreeUse): boolean {
  return use === 'data' || use === 'linkless';
}

function placeLinks(base: string, links: RuntimeLinks): void {
  for (const [path, target] of links) {
    if (exists(base + path)) continue;
    mkdirSync(base + dirname(path), { recursive: true });
    symlinkSync(target, base + path);
  }
}

/**
 * This process's own directory of /proc and `self`, which leads there: a new procfs would show more, and may not be mounted in a
 * user namespace.
 */
function placeProc(kernel: Kernel, base: string, self: number): void {
  const proc = `${base}/proc`;
  mkdirSync(proc, { recursive: true });
  mountTmpfs(kernel, proc, TMPFS_OPTIONS);
  symlinkSync(String(process.pid), `${proc}/self`);
  mkdirSync(`${proc}/${process.pid}`);
  attachTree(kernel, self, `${proc}/${process.pid}`);
  makeReadOnly(kernel, proc);
}

function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

function isDirectory(path: string): boolean {
  try {
    return lstatSync(path).isDirectory();
  } catch {
    return false;
  }
}
