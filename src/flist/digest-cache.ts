/**
 * Sums of file contents for `-c`, kept for sessions of all workers (B-13f). One per event loop; content-sum.ts asks.
 *
 * A sum is found again only for the same inode with the same size, times of modification and of change to the nanosecond: whoever
 * writes to a file cannot set the latter back.
 */

import type { ChecksumName } from '../checksum/sums.ts';
import type { SharedStore } from '../store/shared-store.ts';
import { storeKey } from '../store/slots.ts';
import type { FileStats } from '../vfs/module-root.ts';

/**
 * A file that changed so lately may change again without a sign of it: file systems count time in ticks of up to 10 ms, older ones
 * in seconds.
 */
const SETTLED_NS = 2_000_000_000n;

/** All sums are dropped together, or none. */
const NO_TAG = 1;

/** What became of the questions of all sessions. */
export interface DigestCounts {
  hits: number;
  misses: number;
}

/** Bounded; the sum that was used longest ago goes first. */
export class DigestCache {
  readonly #store: SharedStore;
  readonly #counts: DigestCounts;

  constructor(store: SharedStore, counts: DigestCounts = { hits: 0, misses: 0 }) {
    this.#store = store;
    this.#counts = counts;
  }

  /** What this event loop has put in. */
  get bytes(): number {
    return this.#store.bytes;
  }

  /** The sum of a file that is as `stats` say; null when it is not known. */
  find(sum: ChecksumName, stats: FileStats): Buffer | null {
    const blob = this.#store.find(keyOf(sum, stats));
    if (blob === null) {
      this.#counts.misses++;
      return null;
    }
    const digest = blob.read(0, blob.lengthBytes);
    blob.close();
    this.#counts.hits++;
    return digest;
  }

  /**
   * Keeps a sum, unless the file may have changed meanwhile.
   * @param times what the list says of the file, what the open file was before it was read and afterwards, and when that began.
   */
  keep(
    sum: ChecksumName,
    digest: Buffer,
    times: { listed: FileStats; before: FileStats; after: FileStats; begunMs: number },
  ): void {
    const { listed, before, after, begunMs } = times;
    const isSameFile = before.dev === listed.dev && before.ino === listed.ino;
    if (!isSameFile || !isSame(before, listed) || !isSame(after, listed)) return;
    if (BigInt(begunMs) * 1_000_000n - listed.ctimeNs < SETTLED_NS) return;
    const claimed = this.#store.claim(keyOf(sum, listed), NO_TAG, 0);
    if (claimed.kind === 'found') claimed.blob.close();
    if (claimed.kind === 'ours') this.#store.publish(claimed.claim, [digest], false);
  }
}

/** The sum is over the content alone (2-file-list.md 2.7): no seed of a session is in it. */
function keyOf(sum: ChecksumName, { dev, ino, size, mtimeNs, ctimeNs }: FileStats): Buffer {
  return storeKey(`${sum} ${dev}:${ino} ${size} ${mtimeNs} ${ctimeNs}`);
}

type Times = Pick<FileStats, 'size' | 'mtimeNs' | 'ctimeNs'>;

function isSame(a: Times, b: Times): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}
