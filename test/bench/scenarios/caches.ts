/** What one client's scan and sums are worth to the next; the warm-up fills the caches. */

import { join } from 'node:path';
import { makeManyFiles } from '../../helpers/many-files.ts';
import { pulls } from '../pulls.ts';
import { EACH_WORKER, type Scenario } from '../scenario.ts';
import { writeLarge } from '../trees.ts';

/** Longer than all runs of a scenario. */
const CACHED = { file_list_cache: '1h' };

/** Directories of the two trees were made at different moments. */
const upToDate = (dir: string): readonly string[] => ['-rt', '--omit-dir-times', join(dir, 'copy/')];

function twoTrees(dir: string, count: number): void {
  for (const name of ['module', 'copy']) makeManyFiles(join(dir, name), Math.round(count));
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'uptodate-cached',
    warmUps: EACH_WORKER,
    title: '200 000 files, up to date, file_list_cache, second and later client',
    targets: { cpu: 0.15, wall: 0.7 },
    moduleKeys: CACHED,
    prepare: (dir, scale) => twoTrees(dir, 200_000 * scale),
    run: pulls('uptodate-cached', upToDate),
  },
  {
    name: 'parallel-cached',
    title: '100 parallel up-to-date checks of 20 000 files, file_list_cache',
    targets: { cpu: 0.2, wall: 0.8 },
    moduleKeys: CACHED,
    prepare: (dir, scale) => twoTrees(dir, 20_000 * scale),
    run: pulls('parallel-cached', upToDate, 100),
  },
  {
    name: 'checksum-again',
    warmUps: EACH_WORKER,
    title: '-c on 400 MB, second and later client',
    targets: { cpu: 0.2, wall: 1 },
    prepare: (dir, scale) => {
      for (const name of ['module', 'copy']) {
        for (let i = 0; i < 4; i++) writeLarge(join(dir, name, `file${i}`), { mib: 100 * scale, seed: `sums${i}` });
      }
    },
    run: pulls('checksum-again', (dir) => ['-rc', join(dir, 'copy/')]),
  },
];
