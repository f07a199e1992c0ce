/** A module on disk next to a secret that no view may ever show. */

import { closeSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_LIMITS, type Limits } from '../../../src/limits.ts';
import { ModuleView, openModuleRoot } from '../../../src/vfs/module-root.ts';
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
  const view = new ModuleView(rootFd, DEFAULT_LIMITS);
  return {
    root,
    outside,
    view,
    rootFd,
    newView: (limits = {}) => new ModuleView(rootFd, { ...DEFAULT_LIMITS, ...limits }),
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
