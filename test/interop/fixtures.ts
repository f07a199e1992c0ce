/** Trees, destinations and modules of the equivalence test, made once per run. */

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { matrixStaleTree, matrixTree } from '../helpers/matrix-tree.ts';
import type { ModuleSpec } from '../helpers/module-spec.ts';
import { oddTree, plainTree } from '../helpers/odd-tree.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { deltaTree, filterTree, timesTree, wideTree } from '../helpers/small-trees.ts';
import { snapshot } from '../helpers/snapshot.ts';
import { staleTree } from '../helpers/stale-tree.ts';
import { makeTree, type TreeEntry } from '../helpers/tree.ts';
import type { DestinationState, ModuleName } from './cases.ts';

export interface Fixtures {
  readonly scratch: string;
  readonly modules: readonly ModuleSpec[];
  /** Directory to copy for a destination state; null for an empty one. */
  template(module: ModuleName, state: DestinationState): string | null;
  remove(): void;
}

const TREES: Readonly<Record<string, () => TreeEntry[]>> = {
  plain: plainTree,
  odd: oddTree,
  delta: deltaTree,
  filter: filterTree,
  times: timesTree,
  mount: () => [
    { name: 'file', content: 'outside' },
    { name: 'mounted', is: 'dir' },
  ],
  wide: () => wideTree(20_000),
  matrix: matrixTree,
};

/** Stale versions that say more than what staleTree makes of any tree. */
const STALE_TREES: Readonly<Record<string, () => TreeEntry[]>> = { matrix: matrixStaleTree };

/** Modules that show another module's tree under daemon rules. */
const VIEWS: Readonly<Record<string, { tree: string; keys: Exclude<ModuleSpec['keys'], undefined> }>> = {
  excluded: { tree: 'filter', keys: { exclude: ['/private/', '*.o', 'lib/deep', 'build/core'] } },
  included: { tree: 'filter', keys: { include: ['/src/***', '*.c'], exclude: ['*.txt', '/src/lib/', '/private'] } },
  ruled: { tree: 'filter', keys: { filter: ['- *.o', '+ /src/', '- /private/***', '- core'], exclude: ['*.bak'] } },
  numeric: { tree: 'plain', keys: { numeric_ids: true } },
};

/** The trees that modules show, for makeFixtures. */
export function treesOf(modules: readonly ModuleName[]): string[] {
  return [...new Set(modules.map((module) => VIEWS[module]?.tree ?? module))];
}

/** Makes the named trees (all when absent) in a temporary directory; needs root. */
export async function makeFixtures(names: readonly string[] = Object.keys(TREES)): Promise<Fixtures> {
  const scratch = scratchDir('equivalence');
  const moduleDir = (tree: string): string => join(scratch, 'modules', tree);
  const mountPoint = join(moduleDir('mount'), 'mounted');
  for (const tree of names) await makeVersions(scratch, tree, TREES[tree]!());
  if (names.includes('mount')) mountMemory(mountPoint);
  // Reading everything once settles the access times of a `relatime` file system.
  for (const version of names.includes('times') ? ['modules', 'identical', 'stale'] : []) {
    snapshot(join(scratch, version, 'times'), { startedMs: 0 });
  }
  const keys = { numeric_ids: false };
  return {
    scratch,
    modules: [
      ...names.map((tree) => ({ name: tree, path: moduleDir(tree), keys })),
      ...Object.entries(VIEWS)
        .filter(([, view]) => names.includes(view.tree))
        .map(([name, view]) => ({ name, path: moduleDir(view.tree), keys: { ...keys, ...view.keys } })),
    ],
    template: (module, state) => (state === 'empty' ? null : join(scratch, state, VIEWS[module]?.tree ?? module)),
    remove: () => removeTree(scratch, [mountPoint]),
  };
}

async function makeVersions(scratch: string, tree: string, entries: readonly TreeEntry[]): Promise<void> {
  const versions = { modules: entries, identical: entries, stale: STALE_TREES[tree]?.() ?? staleTree(entries) };
  for (const [version, content] of Object.entries(versions)) {
    // Trees that take seconds are not made in a version that no case uses.
    if (tree === 'wide' && version === 'stale') continue;
    const root = join(scratch, version, tree);
    mkdirSync(root, { recursive: true });
    await makeTree(root, content);
  }
}

/**
 * A second file system inside a module, for -x. A container may lack the right to mount although nothing is missing
 * from it: there the cases of -x run on one file system, with a warning, also in CI.
 */
function mountMemory(path: string): void {
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'mode=755,size=1m', 'none', path]).status !== 0) {
    console.warn('\n*** no right to mount: -x is not tested across file systems ***\n');
    return;
  }
  mkdirSync(join(path, 'inner'));
  chmodSync(join(path, 'inner'), 0o755);
}
