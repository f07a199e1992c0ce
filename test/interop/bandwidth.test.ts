/** `bandwidth_limit`: two clients at once get no more together than one may have. Load can only make pulls longer than they must be. */

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareSnapshots } from '../helpers/compare-snapshots.ts';
import { startDaemon } from '../helpers/daemon.ts';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import type { RunningDaemon } from '../helpers/running-daemon.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { snapshot } from '../helpers/snapshot.ts';
import { makeTree } from '../helpers/tree.ts';
import { hasRoot } from '../setup/clients.ts';

const BYTES_PER_SECOND = 200_000;
const FILE_BYTES = 200_000;
/** What two files take at the least, less than the first turn of both is free. */
const BOTH_MS = ((2 * FILE_BYTES) / BYTES_PER_SECOND) * 1000 * 0.9;

describe.skipIf(!hasRoot())('bandwidth_limit', () => {
  let dir: string;
  const daemons: RunningDaemon[] = [];

  beforeAll(async () => {
    dir = scratchDir('bandwidth');
    await makeTree(join(dir, 'tree'), [{ name: 'file', size: FILE_BYTES }]);
    const path = join(dir, 'tree');
    const module = { name: 'one', path, keys: { bandwidth_limit: BYTES_PER_SECOND } };
    daemons.push(await startDaemon({ modules: [module] }));
    const two = ['one', 'two'].map((name) => ({ name, path }));
    daemons.push(await startDaemon({ modules: two, globals: { bandwidth_limit: BYTES_PER_SECOND } }));
  });

  afterAll(async () => {
    for (const daemon of daemons) await daemon.stop();
    removeTree(dir);
  });

  it.each([
    ['of a module is shared by its sessions', 0, ['one', 'one']],
    ['of the daemon is shared by its modules', 1, ['one', 'two']],
  ])('%s', async (_what, which, modules) => {
    const startedMs = performance.now();
    const pulls = modules.map((module, index) => {
      const target = `${join(dir, `${which}-${index}`)}/`;
      return rsync(['-a', moduleUrl(daemons[which]!.port, module), target]);
    });
    const exits = (await Promise.all(pulls)).map(({ exitCode }) => exitCode);
    expect(performance.now() - startedMs).toBeGreaterThan(BOTH_MS);
    expect(exits).toEqual([0, 0]);
    const tree = snapshot(join(dir, 'tree'), { startedMs: Date.now() });
    for (const index of modules.keys()) {
      expect(compareSnapshots(tree, snapshot(join(dir, `${which}-${index}`), { startedMs: Date.now() }))).toEqual([]);
    }
  });
});
