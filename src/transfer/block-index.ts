/** Finds blocks by weak sum: a bitmap that rejects most offsets at once, then an exact table; match.ts searches it. */

import { limitHits } from '../limit-hits.ts';
import type { TimeSlice } from '../slice.ts';
import type { BlockSums } from './block-sums.ts';

/** Bitmap bits per block: 64 to 128, so 1 to 2 % of foreign offsets reach the table (more bits measured slower: cache). */
const BITS_PER_BLOCK_LOG2 = 6;
/** 1 KiB to 2 MiB: more would leave the processor's second-level cache, and bits 8…12 of the hash must stay free. */
const MIN_BITS_LOG2 = 13;
const MAX_BITS_LOG2 = 24;
const MAX_TABLE_LOG2 = 22;
/** Blocks entered between two looks at the clock: each may touch a page of memory for the first time, in up to 30 µs. */
const BLOCKS_PER_STEP = 64;

/** How an index is built. */
export interface BlockIndexOptions {
  /** Blocks of one weak sum but different content that are kept (B-14). */
  readonly candidates: number;
  /** Any 32 random bits. */
  readonly seed: number;
  /** Where the bitmap may lie, if that suffices. */
  readonly bitmap: Buffer | null;
}

/**
 * Blocks of full length by weak sum. Blocks with equal weak and strong sums share one entry, named by the first.
 *
 * The fields are public for the inner loop of match.ts, which must not call out per byte:
 * `h = imul(weak, multiplier)`, bitmap bit `(bits[h >>> wordShift] >>> (h >>> 8)) & 1`, chain `heads[h >>> tableShift] - 1`.
 */
export class BlockIndex {
  // SECURITY: the peer picks all weak sums. With a random multiplier it cannot aim them at one bucket or know which
  // offsets pass the bitmap; two different sums meet in a bucket with probability 2 / buckets.
  readonly multiplier: number;
  readonly bits: Int32Array;
  readonly wordShift: number;
  /** First entry of each bucket plus one: nothing needs to be written to memory that stays empty, all of it at once. */
  readonly heads: Int32Array;
  readonly tableShift: number;
  /** Next entry of the same bucket, -1 at the end. */
  readonly next: Int32Array;
  /** Weak sum of every full block, signed. */
  readonly weak: Int32Array;
  /** Per entry: the last block with the same sums. */
  readonly last: Int32Array;
  readonly #sums: BlockSums;
  readonly #candidates: number;
  /** A weak sum had more blocks than are kept: counted once for a file. */
  #isCrowded = false;

  private constructor(sums: BlockSums, options: BlockIndexOptions) {
    const countLog2 = Math.ceil(Math.log2(Math.max(2, sums.fullCount)));
    const bitsLog2 = Math.min(MAX_BITS_LOG2, Math.max(MIN_BITS_LOG2, countLog2 + BITS_PER_BLOCK_LOG2));
    const tableLog2 = Math.min(MAX_TABLE_LOG2, countLog2 + 1);
    this.multiplier = options.seed | 1;
    this.bits = clearWords(2 ** (bitsLog2 - 5), options.bitmap);
    this.wordShift = 32 - (bitsLog2 - 5);
    this.heads = new Int32Array(2 ** tableLog2);
    this.tableShift = 32 - tableLog2;
    this.next = new Int32Array(sums.fullCount);
    this.weak = new Int32Array(sums.fullCount);
    this.last = new Int32Array(sums.fullCount);
    this.#sums = sums;
    this.#candidates = options.candidates;
  }

  /** Builds the index of completely received, usable sums, yielding between steps. */
  static async build(sums: BlockSums, options: BlockIndexOptions, slice: TimeSlice): Promise<BlockIndex> {
    const index = new BlockIndex(sums, options);
    for (let block = 0; block < sums.fullCount; block++) {
      index.#enter(block);
      if (block % BLOCKS_PER_STEP === 0 && slice.expired) await slice.yield();
    }
    return index;
  }

  #enter(block: number): void {
    const weak = this.#sums.weakAt(block);
    this.weak[block] = weak;
    this.last[block] = block;
    const hash = Math.imul(weak, this.multiplier);
    const bucket = hash >>> this.tableShift;
    const head = this.heads[bucket]! - 1;
    let alike = 0;
    for (let entry = head; entry >= 0; entry = this.next[entry]!) {
      if (this.weak[entry] !== weak) continue;
      if (this.#sums.sameStrong(entry, block)) {
        this.last[entry] = block;
        return;
      }
      // SECURITY: thousands of equal weak sums would make both this loop and the search quadratic (CVE-2026-70453).
      if (++alike >= this.#candidates) {
        if (!this.#isCrowded) limitHits.count('matchCandidates');
        this.#isCrowded = true;
        return;
      }
    }
    this.next[block] = head;
    this.heads[bucket] = block + 1;
    this.bits[hash >>> this.wordShift]! |= 1 << (hash >>> 8);
  }

  /** First entry with this signed weak sum, or -1. */
  find(weak: number): number {
    const hash = Math.imul(weak, this.multiplier);
    return this.findFrom(this.heads[hash >>> this.tableShift]! - 1, weak);
  }

  /** First entry with this signed weak sum in a chain that begins at `entry`, or -1. */
  findFrom(entry: number, weak: number): number {
    let found = entry;
    while (found >= 0 && this.weak[found] !== weak) found = this.next[found]!;
    return found;
  }
}

/** @param place used when it suffices. */
function clearWords(count: number, place: Buffer | null): Int32Array {
  if (place === null || place.length < 4 * count) return new Int32Array(count);
  return new Int32Array(place.buffer, place.byteOffset, count).fill(0);
}
