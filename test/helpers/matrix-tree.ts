/** The compact tree of the matrix: a little of everything, so that thousands of pulls of it take minutes. */

import { gzipSync } from 'node:zlib';
import { randomBytesOf, textOf, withEdits } from './content.ts';
import { staleTree } from './stale-tree.ts';
import type { TreeEntry } from './tree.ts';

/** As many files of each kind as stale-tree.ts has ways to damage one. */
const EACH_KIND = [0, 1, 2, 3, 4, 5, 6, 7, 8];

/** Text, random and already compressed data, each large enough for dozens of blocks. */
const CONTENTS: readonly TreeEntry[] = [
  ...EACH_KIND.map((index) => ({
    name: `text/text${index}.txt`,
    content: textOf(`text${index}`, 30_000 + 5000 * index),
  })),
  ...EACH_KIND.map((index) => ({ name: `random/r${index}.bin`, size: 20_000 + 3000 * index })),
  ...EACH_KIND.map((index) => ({
    name: `packed/p${index}.gz`,
    // The header names no system and no time: the same bytes everywhere.
    content: gzipSync(textOf(`packed${index}`, 70_000 + 3000 * index)),
  })),
];

const TAR = Buffer.concat([textOf('tar', 40_000), randomBytesOf('tar', 40_000)]);

const ODDITIES: readonly TreeEntry[] = [
  { name: 'empty', content: '' },
  { name: 'long.log', content: textOf('long', 400_000) },
  { name: 'mixed.dat', content: Buffer.concat([TAR, Buffer.alloc(60_000), TAR]) },
  { name: 'with space', content: 'a name with a space' },
  { name: 'new\nline-\xe9\xff', content: 'a name that is no text' },
  { name: 'lib/libfoo-1.1.tar', content: withEdits(TAR, [10_000, 50_000]) },
  { name: 'links/inside', symlink: '../empty' },
  { name: 'links/to-dir', symlink: '../lib' },
  { name: 'links/dangling', symlink: 'nothing' },
  { name: 'links/absolute', symlink: '/etc/hostname' },
  { name: 'links/outside', symlink: '../../../../etc/hostname' },
  { name: 'hard/a', content: textOf('hard', 3000) },
  { name: 'hard/b', linkTo: 'hard/a' },
  { name: 'z-last/hard', linkTo: 'hard/a' },
  { name: 'special/fifo', is: 'fifo', mode: 0o640 },
  { name: 'special/char', is: 'char', mode: 0o640, gid: 5 },
  { name: 'attr/owned', content: 'x', uid: 1, gid: 12, mode: 0o640 + 0o004 },
  { name: 'attr/program', content: '#!/bin/sh\n', mode: 0o755 },
  { name: 'attr/setgid', is: 'dir', mode: 0o2775 },
  { name: 'empty-dir', is: 'dir' },
];

/** Merge files and what they match; the stale tree has them undamaged, else the client itself would stop at them. */
const FILTERED: readonly TreeEntry[] = [
  { name: '.rsync-filter', content: '- *.bak\n- /text/text1.txt\n' },
  { name: 'lib/.rsync-filter', content: '+ *.bak\n- core\n' },
  { name: 'lib/.cvsignore', content: 'scratch*\n' },
  ...['a.o', 'x.bak', 'x~', 'core', 'scratch1', 'CVS/Entries'].map((name) => ({ name: `lib/${name}`, content: name })),
  { name: 'old.bak', content: 'old' },
];

/** Readable in every part for everybody. */
export function matrixTree(): TreeEntry[] {
  return [...CONTENTS, ...ODDITIES, ...FILTERED];
}

/** Stale in every way, with a renamed older version (--fuzzy) and the rest of an interrupted pull (--partial-dir). */
export function matrixStaleTree(): TreeEntry[] {
  return [
    ...staleTree([...CONTENTS, ...ODDITIES]).filter(({ name }) => name !== 'lib/libfoo-1.1.tar'),
    ...FILTERED,
    { name: 'lib/libfoo-1.0.tar', content: TAR },
    { name: 'text/.part/text0.txt', content: textOf('text0', 20_000), mode: 0o600 },
  ];
}
