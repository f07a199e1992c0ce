/** Hard-link groups of one session (2-file-list.md 2.6). */

import { LimitError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { type FileEntry, isDirectoryMode, isRegularMode } from './entry.ts';

/** Returned by `group` for the first entry of its group. */
export const FIRST_OF_GROUP = -1;

export class HardLinks {
  readonly #maxGroups: number;
  /** Device → inode → index of the group's first entry, in order of transmission. */
  readonly #groups = new Map<bigint, Map<bigint, number>>();
  #count = 0;

  constructor(limits: Limits) {
    this.#maxGroups = limits.hardLinks;
  }

  /** True when an entry takes part in grouping. */
  isCandidate(entry: FileEntry, protocol: number): boolean {
    if (entry.mode === 0) return false;
    return protocol === 27 ? isRegularMode(entry.mode) : !isDirectoryMode(entry.mode) && entry.linkCount > 1;
  }

  /**
   * The group that an entry belongs to, for protocols from 30.
   * @param index number that this entry gives to its group when it is the first: list start plus place of transmission.
   * @returns index of the group's first entry, or FIRST_OF_GROUP.
   */
  group(entry: FileEntry, index: number): number {
    let inodes = this.#groups.get(entry.device);
    if (inodes === undefined) {
      inodes = new Map();
      this.#groups.set(entry.device, inodes);
    }
    const known = inodes.get(entry.inode);
    if (known !== undefined) return known;
    // SECURITY: the map lives as long as the session (B-13g).
    if (++this.#count > this.#maxGroups) throw new LimitError('hardLinks', 'too many hard-linked files');
    inodes.set(entry.inode, index);
    return FIRST_OF_GROUP;
  }
}
