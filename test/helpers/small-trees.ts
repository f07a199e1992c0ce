/** Small trees for filters, attributes of time and wide directories; interop tests pull them. */

import { randomBytesOf } from './content.ts';
import type { TreeEntry } from './tree.ts';

/** Files for filter rules, with merge files in several directories. */
export function filterTree(): TreeEntry[] {
  const names = ['a.c', 'a.o', 'a.txt', 'core', 'Makefile', 'x.bak', 'x~', '.hidden', 'CVS/Entries', '.git/config'];
  const directories = ['', 'src/', 'src/lib/', 'src/lib/deep/', 'build/', 'foo/bar/baz/', 'private/'];
  return [
    ...directories.flatMap((directory) => names.map((name) => ({ name: directory + name, content: directory + name }))),
    { name: '.rsync-filter', content: '- *.bak\n+ /src/a.o\n- *.o\n# comment\n\n; other comment\n' },
    { name: 'src/.rsync-filter', content: '- /lib/a.txt\n-s core\n' },
    { name: 'src/lib/.rsync-filter', content: '!\n- deep/\n' },
    { name: 'src/.cvsignore', content: 'a.txt Makefile\n' },
    { name: 'foo/.excludes', content: '*.txt\nbaz\n' },
    { name: 'foo/bar/.excludes', content: '*.c\n' },
    { name: 'list.txt', content: 'src/a.c\n#comment\nfoo/bar/\n\nmissing\n' },
  ];
}

/** Contents for the block search: long enough for several blocks, with repetition, zeros and holes. */
export function deltaTree(): TreeEntry[] {
  const zeros = Buffer.alloc(100_000);
  const block = randomBytesOf('block', 700);
  return [
    ...[0, 1, 5, 699, 700, 701, 1400, 20_000, 32_768, 490_000, 500_000].map((size) => ({ name: `f${size}`, size })),
    ...Array.from({ length: 6 }, (_, index) => ({ name: `random${index}`, size: 60_000 + index })),
    ...Array.from({ length: 6 }, (_, index) => ({ name: `zeros${index}`, content: zeros.subarray(index) })),
    ...Array.from({ length: 6 }, (_, index) => ({
      name: `repeated${index}`,
      content: Buffer.concat([...Array<Buffer>(50).fill(block), randomBytesOf(`tail${index}`, 100 * index)]),
    })),
  ];
}

/** Times that are in the past only, so that access times stay as they are once everything was read. */
export function timesTree(): TreeEntry[] {
  return [1, 2, 3].flatMap((number) => [
    { name: `file${number}`, size: 1000 * number, mtime: 1_500_000_000.25 + number },
    { name: `dir${number}/file`, size: number, mtime: 1_600_000_000.5 + number },
    { name: `link${number}`, symlink: `file${number}`, mtime: 1_400_000_000 + number },
  ]);
}

/** One directory with `count` small files. */
export function wideTree(count: number): TreeEntry[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `wide/file-${(index * 7919) % count}-${index}`,
    content: String(index),
  }));
}
