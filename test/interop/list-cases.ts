/** Clients whose lists must not depend on who shared the work: what they list, with what, and what they get. */

import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import { snapshot } from '../helpers/snapshot.ts';
import { makeTree, type TreeEntry } from '../helpers/tree.ts';

const TREE: readonly TreeEntry[] = [
  { name: 'a.c', size: 100 },
  { name: 'a.o', size: 200 },
  { name: 'lib/deep/a.c', size: 6 },
  { name: 'lib/deep/large', size: 300_000 },
  { name: 'lib/x y', content: 'blank', mode: 0o604, uid: 1, gid: 2 },
  { name: 'linked', content: 'linked' },
  { name: 'lib/linked', linkTo: 'linked' },
  { name: 'link', symlink: 'lib/x y' },
  { name: 'pipe', is: 'fifo' },
  { name: 'empty', is: 'dir' },
  { name: 'lib/.rules', content: '- a.c\n' },
  { name: '.rsync-filter', content: '- x*\n' },
];

export const OPTION_SETS = [
  '-a',
  '-aH',
  '-rltz',
  '-aR',
  '-a --no-inc-recursive',
  '-a --delete',
  '-ac',
  '-a --exclude=*.o',
  '-a --include=*/ --include=*.c --exclude=*',
  '-aF',
  '-aFF --exclude=large',
  '-a --filter=:_.rules',
  '-aC',
  '-aX',
  '-r --exclude=lib/deep',
  '-aH --protocol=29 --exclude=*.o',
  '-n -a',
  '-aL',
  ...[27, 28, 29, 30, 31].map((protocol) => `-a --protocol=${protocol}`),
  '-aH --protocol=29',
  '-aH --protocol=30 --no-inc-recursive',
];

/** Makes `tree` in `dir`. */
export async function makeListTree(dir: string): Promise<void> {
  await makeTree(
    dir,
    TREE.map((entry) => ({ ...entry, name: `tree/${entry.name}`, ...linkBelow(entry) })),
  );
}

function linkBelow({ linkTo }: TreeEntry): Partial<TreeEntry> {
  return linkTo === undefined ? {} : { linkTo: `tree/${linkTo}` };
}

/** A pull into an empty directory below `dir`. */
export async function pullInto(dir: string, port: number, module: string, options: string) {
  const copy = mkdtempSync(join(dir, 'copy'));
  const startedMs = Date.now() - 1000;
  const { exitCode, stdout, stderr } = await rsync([
    ...options.split(' '),
    '--out-format=%i %n%L',
    moduleUrl(port, module),
    `${copy}/`,
  ]);
  const tree = options.startsWith('-n') ? null : snapshot(copy, { startedMs, atimes: false });
  return {
    exitCode,
    // Two processes of the client print, each in its own order.
    stdout: stdout.toString('latin1').split('\n').sort(),
    stderr: stderr.toString('latin1').replaceAll(`(in ${module})`, '(in MODULE)'),
    tree,
  };
}
