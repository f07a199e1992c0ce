/** What a destination may look like before a pull: an older, damaged or extended version of the same tree. */

import { randomBytesOf, withEdits } from './content.ts';
import { DEFAULT_MTIME, type TreeEntry } from './tree.ts';

/** Older by a day than what trees have by default. */
const OLDER = DEFAULT_MTIME - 86_400;

/** Ways in which a file of the destination differs; each file takes one in turn. */
const FILE_VARIANTS: readonly ((entry: TreeEntry, content: Buffer) => TreeEntry[])[] = [
  () => [],
  (entry, content) => [{ ...entry, content: content.subarray(0, content.length * 0.6), mtime: OLDER }],
  (entry, content) => [{ ...entry, content: withEdits(content, editOffsets(content)), mtime: OLDER }],
  (entry, content) => [{ ...entry, content: Buffer.concat([randomBytesOf('new', 100), content]), mtime: OLDER }],
  (entry) => [{ ...entry, mode: 0o611, uid: 33, gid: 33 }],
  (entry) => [entry],
  // Same size and time: only -c and -I look at the content.
  (entry, content) => [{ ...entry, content: withEdits(content, editOffsets(content)) }],
  // A prefix that is wrong: --append must notice when it verifies.
  (entry, content) => [
    { ...entry, content: withEdits(content, [0]).subarray(0, Math.ceil(content.length / 2)), mtime: OLDER },
  ],
  (entry) => [{ ...entry, mtime: DEFAULT_MTIME + 1000 }],
];

/** A stale version of a tree, with entries that the tree does not have. */
export function staleTree(entries: readonly TreeEntry[]): TreeEntry[] {
  const stale = entries.flatMap(staleEntry);
  return [
    ...stale,
    { name: 'extra file', content: 'not in the module' },
    { name: 'extra dir/sub/file', content: 'not in the module' },
    { name: 'extra link', symlink: 'anywhere' },
  ];
}

function staleEntry(entry: TreeEntry, index: number): TreeEntry[] {
  const { name, mode, linkTo } = entry;
  // Bases of hard links stay, so that the links can be made.
  if (linkTo !== undefined) return index % 2 === 0 ? [entry] : [{ name, content: 'link that was broken' }];
  if (name.startsWith('hard/')) return [entry];
  if (entry.symlink !== undefined || (entry.is !== undefined && entry.is !== 'dir')) {
    return [[], [{ name, symlink: 'old target' }], [{ name, content: 'file in the way' }], [entry]][index % 4]!;
  }
  if (entry.is === 'dir') return [{ ...entry, mode: (mode ?? 0o755) ^ 0o050, mtime: OLDER }];
  const content = entry.sparse ? Buffer.alloc(entry.size ?? 0) : contentOf(entry);
  const { sparse: _sparse, ...plain } = entry;
  return FILE_VARIANTS[index % FILE_VARIANTS.length]!(plain, content);
}

function contentOf({ name, content, size }: TreeEntry): Buffer {
  return content === undefined ? randomBytesOf(name, size ?? 0) : Buffer.from(content as Buffer);
}

function editOffsets(content: Buffer): number[] {
  return [0.1, 0.5, 0.9].map((part) => Math.floor(content.length * part)).filter((offset) => offset < content.length);
}
