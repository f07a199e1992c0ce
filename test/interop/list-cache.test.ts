/** file_list_cache and the cache of -c: real clients get what they would get without, and what they may see of a tree that changes. */

import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareSnapshots } from '../helpers/compare-snapshots.ts';
import { type OurDaemon, startDaemon } from '../helpers/daemon.ts';
import type { ModuleSpec } from '../helpers/module-spec.ts';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { makeTree } from '../helpers/tree.ts';
import { hasRoot } from '../setup/clients.ts';
import { makeListTree, OPTION_SETS, pullInto } from './list-cases.ts';

const TEST_MS = 240_000;

let dir: string;
let daemon: OurDaemon;

beforeAll(async () => {
  if (!hasRoot()) return;
  dir = scratchDir('list-cache');
  const path = join(dir, 'tree');
  await makeListTree(dir);
  const module = (name: string, keys: ModuleSpec['keys'] = {}): ModuleSpec => ({ name, path, keys });
  daemon = await startDaemon({
    modules: [
      module('plain'),
      module('shared', { file_list_cache: '1h' }),
      module('generation', { file_list_cache: '1h', generation_file: 'GENERATION' }),
      module('brief', { file_list_cache: 1 }),
    ],
    globals: { workers: 2 },
  });
}, TEST_MS);

afterAll(async () => {
  await daemon?.stop();
  if (dir !== undefined) removeTree(dir);
});

const pull = (module: string, options: string) => pullInto(dir, daemon.port, module, options);

async function namesIn(module: string): Promise<string> {
  return (await rsync(['-r', '--list-only', moduleUrl(daemon.port, module)])).stdout.toString();
}

/** As often as it takes for each of two workers to be asked; which one accepts a client is left to chance. */
const ASKED = 6;

describe.skipIf(!hasRoot())('file_list_cache', () => {
  it.each(OPTION_SETS)(
    'gives a client with %s what it would get without',
    async (options) => {
      const alone = await pull('plain', options);
      for (const shared of [
        await pull('shared', options),
        await pull('shared', options),
        await pull('shared', options),
      ]) {
        expect({ ...shared, tree: null }).toEqual({ ...alone, tree: null });
        if (alone.tree !== null) expect(compareSnapshots(alone.tree, shared.tree!)).toEqual([]);
      }
    },
    TEST_MS,
  );

  it(
    'sends a file as it is now, whatever the list says of it',
    async () => {
      await pull('shared', '-a');
      writeFileSync(join(dir, 'tree/a.c'), 'longer than before, and of another time'.repeat(10));
      const copy = join(dir, 'now');
      await rsync(['-a', moduleUrl(daemon.port, 'shared'), `${copy}/`]);
      const { exitCode } = await rsync(['-rn', '--checksum', '--delete', `${dir}/tree/a.c`, `${copy}/a.c`]);
      const content = await rsync(['-c', '-n', '--out-format=%n', `${dir}/tree/a.c`, `${copy}/a.c`]);
      expect([exitCode, content.stdout.toString()]).toEqual([0, '']);
    },
    TEST_MS,
  );

  it(
    'says of a file that has vanished since what C rsync says',
    async () => {
      await makeTree(dir, [{ name: 'tree/brief-life', content: 'x' }]);
      const before = await daemon.reload();
      await pull('shared', '-a');
      renameSync(join(dir, 'tree/brief-life'), join(dir, 'gone'));
      const { exitCode, stderr } = await pull('shared', '-a');
      expect([before.length > 0, exitCode]).toEqual([true, 24]);
      expect(stderr).toContain('file has vanished: "/brief-life" (in MODULE)');
    },
    TEST_MS,
  );

  it(
    'shows new files when the generation changes, when the scan is too old, and after SIGHUP',
    async () => {
      for (const module of ['shared', 'generation', 'brief']) await namesIn(module);
      writeFileSync(join(dir, 'tree/new'), 'new');
      expect([await namesIn('plain'), await namesIn('shared'), await namesIn('generation')].map(hasNew)).toEqual([
        true,
        false,
        false,
      ]);
      writeFileSync(join(dir, 'tree/GENERATION'), '2');
      for (let i = 0; i < ASKED; i++) expect(hasNew(await namesIn('generation'))).toBe(true);
      const deadline = Date.now() + 60_000;
      while (!hasNew(await namesIn('brief')))
        if (Date.now() > deadline) throw new Error('a scan of a second ago is kept');
      expect(hasNew(await namesIn('shared'))).toBe(false);
      await daemon.reload();
      for (let i = 0; i < ASKED; i++) expect(hasNew(await namesIn('shared'))).toBe(true);
    },
    TEST_MS,
  );
});

function hasNew(listing: string): boolean {
  return / new$/m.test(listing);
}
