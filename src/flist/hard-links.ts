/** Hard-link groups of one session (2-file-list.md 2.6). */

import { LimitError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { type FileEntry, isDirectoryMode, isRegularMode } from './entry.ts';

/** Returned by `group` for the first entry of its group. */
export const FIRST_OF_GROUP = -1;

/** Indexes have 31 bits, so that index and fingerprint fit into one number: five million groups live in the map. */
const FINGERPRINTS = 2 ** 20;

export class HardLinks {
  readonly #maxGroups: number;
  /** Device → inode → index of the group's first entry, in order of transmission, and a fingerprint of that entry. */
  readonly #groups = new Map<bigint, Map<bigint, number>>();
  #count = 0;
  /** True when the file's attributes changed between the group's first entry and the one that `group` saw last. */
  hasChanged = false;

  constructor(limits: Limits) {
    this.#maxGroups = limits.hardLinks;
  }

  /** Groups so far. */
  get groups(): number {
    return this.#count;
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
    const fingerprint = fingerprintOf(entry);
    const known = inodes.get(entry.inode);
    this.hasChanged = known !== undefined && known % FINGERPRINTS !== fingerprint;
    if (known !== undefined) return Math.floor(known / FINGERPRINTS);
    // SECURITY: the map lives as long as the session (B-13g).
    if (++this.#count > this.#maxGroups) throw new LimitError('hardLinks', 'too many hard-linked files');
    inodes.set(entry.inode, index * FINGERPRINTS + fingerprint);
    return FIRST_OF_GROUP;
  }
}

/** Changes, but for one in a million, with any attribute that later entries may refer to. */
function fingerprintOf(entry: FileEntry): number {
  let hash = 0;
  for (const part of [entry.mode, entry.mtimeSec, entry.atimeSec, entry.uid, entry.gid]) {
    hash = Math.imul(hash ^ part, 0x9e3779b1) ^ (hash >>> 15);
  }
  return (hash >>> 0) % FINGERPRINTS;
}
