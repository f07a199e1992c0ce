/** Very many small files: all of them sent, and none. */

import { join } from 'node:path';
import { makeManyFiles } from '../../helpers/many-files.ts';
import { pulls } from '../pulls.ts';
import type { Scenario } from '../scenario.ts';

const COUNT = 200_000;

/** Directories of the two trees were made at different moments. */
const upToDate = (dir: string): readonly string[] => ['-rt', '--omit-dir-times', join(dir, 'copy/')];

function twoTrees(dir: string, count: number): void {
  for (const name of ['module', 'copy']) makeManyFiles(join(dir, name), Math.round(count));
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'fresh',
    title: '200 000 small files, fresh',
    targets: { cpu: 0.8, wall: 0.9 },
    prepare: (dir, scale) => makeManyFiles(join(dir, 'module'), Math.round(COUNT * scale)),
    run: pulls('fresh', (_dir, out) => ['-a', `${out}/`]),
  },
  {
    name: 'uptodate',
    title: '200 000 files, up to date, no cache',
    targets: { cpu: 1.5, wall: 1.1 },
    prepare: (dir, scale) => twoTrees(dir, COUNT * scale),
    run: pulls('uptodate', upToDate),
  },
  {
    name: 'parallel',
    title: '100 parallel up-to-date checks of 20 000 files, no cache',
    targets: { cpu: 1.2, wall: 1 },
    prepare: (dir, scale) => twoTrees(dir, 20_000 * scale),
    run: pulls('parallel', upToDate, 100),
  },
];
