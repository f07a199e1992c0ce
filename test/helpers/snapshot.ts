/** A tree as data: everything that rsync preserves, per name; interop tests compare two of them. */

import * as fs from 'node:fs';
import { describeNode, type Node, type SnapshotOptions } from './snapshot-node.ts';
import { bytePath } from './tree.ts';

/** Keys are paths below the root, latin1; the root itself is `.`. */
export type Snapshot = ReadonlyMap<string, Node>;

/** Reads a tree with lstat; needs the right to enter every directory. */
export function snapshot(root: string, options: SnapshotOptions): Snapshot {
  const nodes = new Map<string, Node>();
  const byInode = new Map<string, Node[]>();
  const visit = (name: string): void => {
    const path = name === '.' ? Buffer.from(root) : bytePath(root, name);
    const stat = fs.lstatSync(path, { bigint: true });
    const node = describeNode(path, stat, options);
    nodes.set(name, node);
    if (node.type === 'dir') {
      const entries = fs.readdirSync(path, { encoding: 'latin1' }).sort();
      for (const entry of entries) visit(name === '.' ? entry : `${name}/${entry}`);
    } else if (stat.nlink > 1n) {
      const group = byInode.get(`${stat.dev}:${stat.ino}`) ?? [];
      node.linkedWith = group[0]?.linkedWith ?? name;
      byInode.set(`${stat.dev}:${stat.ino}`, [...group, node]);
    }
  };
  visit('.');
  return nodes;
}
