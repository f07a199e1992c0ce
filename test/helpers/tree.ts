/** Makes directory trees from data: names are latin1 strings, one character for each byte. */

import * as fs from 'node:fs';
import { randomBytesOf } from './content.ts';
import { makeNode, makeSocket } from './special-files.ts';

export interface TreeEntry {
  /** Path below the tree's root. Missing parents are made with mode 0755. */
  readonly name: string;
  readonly is?: 'dir' | 'fifo' | 'socket' | 'char' | 'block';
  readonly content?: Uint8Array | string;
  /** Length of repeatable pseudo-random content, or of a hole when `sparse` is set. */
  readonly size?: number;
  readonly sparse?: true;
  readonly symlink?: string;
  /** Earlier name that this one is a hard link to. */
  readonly linkTo?: string;
  /** Permission bits; default 0644, directories 0755. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds, fractions allowed; default DEFAULT_MTIME. */
  readonly mtime?: number;
}

/** 2009-02-13 23:31:30 UTC, with a fraction that needs nanoseconds. */
export const DEFAULT_MTIME = 1234567890.1234567;

/** The bytes of a latin1 name below `root`. */
export function bytePath(root: string, name: string): Buffer {
  return Buffer.concat([Buffer.from(root), Buffer.from(`/${name}`, 'latin1')]);
}

/**
 * Makes all entries below `root`, which must exist. Directories get their times last, because entries change them; also
 * those that are only on the way to an entry: a client leaves a directory's time alone that is right to the second.
 */
export async function makeTree(root: string, entries: readonly TreeEntry[]): Promise<void> {
  const parents = new Set<string>();
  for (const entry of entries) {
    const path = bytePath(root, entry.name);
    for (let at = entry.name.indexOf('/'); at !== -1; at = entry.name.indexOf('/', at + 1))
      parents.add(entry.name.slice(0, at));
    fs.mkdirSync(path.subarray(0, path.lastIndexOf('/')), { recursive: true });
    await makeEntry(root, entry, path);
  }
  for (const parent of parents) fs.lutimesSync(bytePath(root, parent), DEFAULT_MTIME, DEFAULT_MTIME);
  const depth = (entry: TreeEntry): number => entry.name.split('/').length;
  for (const entry of entries.toSorted((a, b) => depth(b) - depth(a))) setAttributes(entry, bytePath(root, entry.name));
  fs.utimesSync(root, DEFAULT_MTIME, DEFAULT_MTIME);
}

async function makeEntry(root: string, entry: TreeEntry, path: Buffer): Promise<void> {
  if (entry.is === 'dir') fs.mkdirSync(path, { recursive: true });
  else if (entry.is === 'socket') await makeSocket(root, path);
  else if (entry.is !== undefined) makeNode(entry.is, path);
  else if (entry.symlink !== undefined) fs.symlinkSync(Buffer.from(entry.symlink, 'latin1'), path);
  else if (entry.linkTo !== undefined) fs.linkSync(bytePath(root, entry.linkTo), path);
  else if (entry.sparse) {
    fs.writeFileSync(path, '');
    fs.truncateSync(path, entry.size);
  } else fs.writeFileSync(path, entry.content ?? randomBytesOf(entry.name, entry.size ?? 0));
}

function setAttributes(entry: TreeEntry, path: Buffer): void {
  if (entry.linkTo !== undefined) return;
  const mtime = entry.mtime ?? DEFAULT_MTIME;
  fs.lchownSync(path, entry.uid ?? 0, entry.gid ?? 0);
  if (entry.symlink === undefined) fs.chmodSync(path, entry.mode ?? (entry.is === 'dir' ? 0o755 : 0o644));
  fs.lutimesSync(path, mtime, mtime);
}
