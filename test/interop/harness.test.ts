/** Shows that the comparison notices what it must notice: a test that cannot fail proves nothing. */

import { chmodSync, linkSync, lutimesSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compareSnapshots } from '../helpers/compare-snapshots.ts';
import { startReferenceDaemon } from '../helpers/reference-daemon.ts';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { snapshot } from '../helpers/snapshot.ts';
import { makeTree, type TreeEntry } from '../helpers/tree.ts';
import { hasRoot } from '../setup/clients.ts';

const ENTRIES: readonly TreeEntry[] = [
  { name: 'file', content: 'content' },
  { name: 'linked', linkTo: 'file' },
  { name: 'secret', content: 'secret', mode: 0o600 },
  { name: 'dir/odd\n\xff', content: 'x' },
  { name: 'symlink', symlink: 'file' },
];

describe.skipIf(!hasRoot())('comparison of trees', () => {
  let dir: string;
  const startedMs = Date.now() - 1000;
  const compare = (): string[] =>
    compareSnapshots(snapshot(join(dir, 'a'), { startedMs }), snapshot(join(dir, 'b'), { startedMs }));

  beforeEach(async () => {
    dir = scratchDir('harness');
    for (const name of ['a', 'b']) {
      mkdirSync(join(dir, name));
      await makeTree(join(dir, name), ENTRIES);
    }
  });
  afterEach(() => removeTree(dir));

  it('finds no difference between two trees made from the same data', () => {
    expect(compare()).toEqual([]);
  });

  const path = (name: string): string => join(dir, 'b', name);
  it.each<[string, RegExp, () => void]>([
    ['a wrong byte', /"file": content/, () => writeFileSync(path('file'), 'Content')],
    ['a wrong mode', /"file": mode should be 0644, is 0640/, () => chmodSync(path('file'), 0o640)],
    ['a wrong time', /"symlink": mtime/, () => lutimesSync(path('symlink'), 1, 1)],
    ['a missing entry', /"secret": is missing/, () => rmSync(path('secret'))],
    ['an added entry', /"more": should not exist/, () => symlinkSync('x', path('more'))],
    ['a broken hard link', /"linked": linkedWith should be file, is undefined/, () => breakLink(path('linked'))],
    ['an added hard link', /"secret": linkedWith should be undefined/, () => linkSync(path('secret'), path('z'))],
  ])('notices %s', (_what, expected, change) => {
    change();
    expect(compare().join('\n')).toMatch(expected);
  });

  it('reads from the reference with an identity that cannot read everything', async () => {
    const daemon = await startReferenceDaemon([{ name: 'pub', path: join(dir, 'a') }]);
    const result = await rsync(['-r', moduleUrl(daemon.port, 'pub', 'secret'), 'c/'], { cwd: dir });
    await daemon.stop();
    expect(result.stderr.toString('latin1')).toMatch(/failed to open "\/?secret" \(in pub\): Permission denied/);
  });
});

function breakLink(path: string): void {
  rmSync(path);
  writeFileSync(path, 'content');
}
