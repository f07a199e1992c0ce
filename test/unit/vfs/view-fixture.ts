/** A module on disk next to a secret that no view may ever show. */

import { closeSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FileError } from '../../../src/errors.ts';
import { DEFAULT_LIMITS, type Limits } from '../../../src/limits.ts';
import { ModuleView } from '../../../src/vfs/module-root.ts';
import { openModuleRoot } from '../../../src/vfs/open-root.ts';
import type { DirectoryPath } from '../../../src/vfs/path.ts';
import { removeTree, scratchDir } from '../../helpers/scratch.ts';

export const SECRET = 'secret from outside';

export interface ViewFixture {
  /** Path of the module root. */
  readonly root: string;
  /** Directory next to the module; `outside/file` holds SECRET. */
  readonly outside: string;
  readonly view: ModuleView;
  readonly rootFd: number;
  /** Another view of the same root; the caller closes it. */
  newView(limits?: Partial<Limits>): ModuleView;
  remove(): void;
}

export function makeView(): ViewFixture {
  const scratch = scratchDir('view');
  const root = join(scratch, 'module');
  const outside = join(scratch, 'outside');
  mkdirSync(root);
  mkdirSync(outside);
  writeFileSync(join(outside, 'file'), SECRET);
  const rootFd = openModuleRoot(Buffer.from(root), DEFAULT_LIMITS);
  const view = new ModuleView({ fd: rootFd, linklessPath: null }, DEFAULT_LIMITS);
  return {
    root,
    outside,
    view,
    rootFd,
    newView: (limits = {}) => new ModuleView({ fd: rootFd, linklessPath: null }, { ...DEFAULT_LIMITS, ...limits }),
    remove() {
      view.close();
      closeSync(rootFd);
      removeTree(scratch);
    },
  };
}

/** Descriptors that this process has open. */
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

export const bytes = (text: string): Buffer => Buffer.from(text);

/** The directory of a path whose components are no links. */
export function directoryAt(view: ModuleView, path: string): DirectoryPath {
  let at = view.root;
  for (const name of path.split('/')) at = at.child(bytes(name));
  return at;
}

/** Content of a file. */
export function readAt(view: ModuleView, at: DirectoryPath, name: string): string {
  const file = view.openFile(at, bytes(name));
  try {
    const into = Buffer.alloc(file.sizeBytes);
    return into.toString('utf8', 0, file.readSync(into, 0));
  } finally {
    file.close();
  }
}

/** Error number of the FileError that a call throws. */
export function errnoOf(call: () => unknown): number {
  try {
    call();
  } catch (thrown) {
    if (thrown instanceof FileError) return thrown.errno;
    throw thrown;
  }
  throw new Error('nothing was thrown');
}
