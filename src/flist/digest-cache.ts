/**
 * Sums of file contents for `-c`, kept for sessions to come (B-13f). One per event loop; content-sum.ts asks.
 *
 * A sum is found again only for the same inode with the same size, times of modification and of change to the nanosecond: whoever
 * writes to a file cannot set the latter back.
 */

import type { ChecksumName } from '../checksum/sums.ts';
import { limitHits } from '../limit-hits.ts';
import type { FileStats } from '../vfs/module-root.ts';

/** What one sum costs, roughly and in bytes. */
const ENTRY_BYTES = 320;

/**
 * A file that changed so lately may change again without a sign of it: file systems count time in ticks of up to 10 ms, older ones
 * in seconds.
 */
const SETTLED_NS = 2_000_000_000n;

interface Entry {
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly digest: Buffer;
}

/** What became of the questions of all sessions. */
export interface DigestCounts {
  hits: number;
  misses: number;
}

/** Bounded; the sum that was used longest ago goes first. */
export class DigestCache {
  readonly #maxEntries: number;
  readonly #counts: DigestCounts;
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry>();

  /** @param limits digestCacheBytes: what sums may occupy. */
  constructor(
    { digestCacheBytes }: { readonly digestCacheBytes: number },
    counts: DigestCounts = { hits: 0, misses: 0 },
  ) {
    this.#maxEntries = Math.floor(digestCacheBytes / ENTRY_BYTES);
    this.#counts = counts;
  }

  /** What it occupies, roughly. */
  get bytes(): number {
    return this.#entries.size * ENTRY_BYTES;
  }

  /** The sum of a file that is as `stats` say; null when it is not known. The buffer must not be changed. */
  find(sum: ChecksumName, stats: FileStats): Buffer | null {
    const key = keyOf(sum, stats);
    const entry = this.#entries.get(key);
    if (entry === undefined || !isSame(entry, stats)) {
      this.#counts.misses++;
      return null;
    }
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    this.#counts.hits++;
    return entry.digest;
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
    const { size, mtimeNs, ctimeNs } = listed;
    const key = keyOf(sum, listed);
    this.#entries.delete(key);
    this.#entries.set(key, { size, mtimeNs, ctimeNs, digest: Buffer.from(digest) });
    if (this.#entries.size <= this.#maxEntries) return;
    limitHits.count('digestCacheBytes');
    const [oldest] = this.#entries.keys();
    this.#entries.delete(oldest!);
  }
}

/** The sum is over the content alone (2-file-list.md 2.7): no seed of a session is in it. */
function keyOf(sum: ChecksumName, { dev, ino }: FileStats): string {
  return `${sum} ${dev}:${ino}`;
}

type Times = Pick<FileStats, 'size' | 'mtimeNs' | 'ctimeNs'>;

function isSame(a: Times, b: Times): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}
