/** The parts of the trees of odd-tree.ts, as data. */

import type { TreeEntry } from './tree.ts';

/** Lengths around the block length and the literal chunk. */
export const SIZES = [0, 1, 699, 700, 701, 32767, 32768, 32769, 65536, 1 << 20];

/** Names that a careless reader decodes, splits or expands. */
export const NAMES = [
  ' leading space',
  '-leading dash',
  '.leading dot',
  'trailing space ',
  'new\nline',
  'back\\slash',
  'glob*?[a]',
  'tab\tand\x01control\x7f',
  'latin1-\xe9\xff\xfe',
  'utf8-\xc3\xa9\xe2\x82\xac',
  '#hash',
  ';semicolon',
  'quotes\'"',
  'colon:name',
  '~tilde',
  'n'.repeat(255),
  '\xf0'.repeat(255),
];

/** Symbolic links: dangling, absolute, to directories, out of the tree. */
export const LINKS: readonly TreeEntry[] = [
  { name: 'links/to-file', symlink: '../sizes/f700' },
  { name: 'links/to-dir', symlink: '../sizes' },
  { name: 'links/dangling', symlink: 'no such file' },
  { name: 'links/absolute', symlink: '/etc/hostname' },
  { name: 'links/out-of-tree', symlink: '../../../../../../etc/hostname' },
  { name: 'links/out-and-in', symlink: '../../plain/sizes/f1' },
  { name: 'links/self', symlink: 'self' },
  { name: 'links/odd\n\xff', symlink: 'odd\n\xfe target' },
  { name: 'links/long', symlink: 'x'.repeat(1000) },
  { name: 'links/owned', symlink: 'anything', uid: 1, gid: 1, mtime: 1000000000.5 },
];

/** Hard links across directories, also of symbolic links and pipes. */
export const HARD_LINKS: readonly TreeEntry[] = [
  { name: 'hard/a', content: 'linked content' },
  { name: 'hard/b', linkTo: 'hard/a' },
  { name: 'a-first/hard', linkTo: 'hard/a' },
  { name: 'z-last/deeper/hard', linkTo: 'hard/a' },
  { name: 'hard/pair', size: 5000 },
  { name: 'hard/pair2', linkTo: 'hard/pair' },
  { name: 'hard/symlink', symlink: '../sizes/f1' },
  { name: 'z-last/symlink', linkTo: 'hard/symlink' },
  { name: 'hard/fifo', is: 'fifo' },
  { name: 'z-last/fifo', linkTo: 'hard/fifo' },
];

/** Everything without content. */
export const SPECIALS: readonly TreeEntry[] = [
  { name: 'special/fifo', is: 'fifo', mode: 0o640 },
  { name: 'special/socket', is: 'socket', mode: 0o600 },
  { name: 'special/char', is: 'char', mode: 0o640, gid: 5 },
  { name: 'special/block', is: 'block', mode: 0o600 },
];

/** Times, owners and modes at the edges of their fields. */
export const ATTRIBUTES: readonly TreeEntry[] = [
  { name: 'attr/before-epoch', mtime: -86400.25 },
  { name: 'attr/long-before', mtime: -3000000000 },
  { name: 'attr/epoch', mtime: 0 },
  { name: 'attr/after-2038', mtime: 2200000000.75 },
  { name: 'attr/after-2106', mtime: 4500000000 },
  { name: 'attr/nanoseconds', mtime: 1700000000.000001 },
  { name: 'attr/named-owner', uid: 1, gid: 12 },
  { name: 'attr/unnamed-owner', uid: 54321, gid: 54322 },
  { name: 'attr/large-owner', uid: 4000000000, gid: 4000000001 },
  { name: 'attr/setuid', mode: 0o4755 },
  { name: 'attr/setgid', mode: 0o2755 },
  { name: 'attr/sticky', mode: 0o1644 },
  { name: 'attr/execute', mode: 0o555 },
  { name: 'attr/sticky-dir', is: 'dir', mode: 0o1755 },
  { name: 'attr/setgid-dir', is: 'dir', mode: 0o2755, gid: 12, mtime: 1111111111.5 },
  { name: 'attr/empty-dir', is: 'dir' },
];
