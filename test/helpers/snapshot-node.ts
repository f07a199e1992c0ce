/** One entry of a snapshot; snapshot.ts collects them. */

import { hash } from 'node:crypto';
import * as fs from 'node:fs';

/** What rsync preserves of an entry. */
export interface Node {
  readonly type: string;
  readonly mode: string;
  readonly uid: bigint;
  readonly gid: bigint;
  /** Nanoseconds since 1970, or `now` for a time that the test itself caused. */
  readonly mtime: bigint | 'now';
  readonly atime?: bigint | 'now';
  readonly size?: bigint;
  readonly target?: string;
  readonly content?: string;
  readonly device?: bigint;
  /** First name, in byte order, of the group of hard links that this entry belongs to. */
  linkedWith?: string;
}

export interface SnapshotOptions {
  /** Modification times from here on (ms) are `now`: they say when the test ran, not what rsync preserved. */
  readonly startedMs: number;
  /** Compare access times too. */
  readonly atimes?: boolean;
}

const { S_IFMT, S_IFIFO, S_IFCHR, S_IFDIR, S_IFBLK, S_IFREG, S_IFLNK, S_IFSOCK } = fs.constants;
const TYPES: ReadonlyMap<number, string> = new Map([
  [S_IFIFO, 'fifo'],
  [S_IFCHR, 'char'],
  [S_IFDIR, 'dir'],
  [S_IFBLK, 'block'],
  [S_IFREG, 'file'],
  [S_IFLNK, 'symlink'],
  [S_IFSOCK, 'socket'],
]);

/** Reads one entry, its content included. */
export function describeNode(path: Buffer, stat: fs.BigIntStats, options: SnapshotOptions): Node {
  const type = TYPES.get(Number(stat.mode) & S_IFMT) ?? 'unknown';
  const startedNs = BigInt(Math.floor(options.startedMs)) * 1_000_000n;
  // A second of slack ahead: times far in the future are test data.
  const nowNs = BigInt(Date.now() + 1000) * 1_000_000n;
  const time = (ns: bigint): bigint | 'now' => (ns >= startedNs && ns <= nowNs ? 'now' : ns);
  return {
    type,
    mode: `0${(stat.mode & 0o7777n).toString(8)}`,
    uid: stat.uid,
    gid: stat.gid,
    mtime: time(stat.mtimeNs),
    ...(options.atimes && { atime: time(stat.atimeNs) }),
    ...((type === 'file' || type === 'symlink') && { size: stat.size }),
    ...(type === 'symlink' && { target: fs.readlinkSync(path, 'latin1') }),
    ...(type === 'file' && { content: hash('sha1', fs.readFileSync(path)) }),
    ...((type === 'char' || type === 'block') && { device: stat.rdev }),
  };
}
