/** Decides which block, if any, equals the bytes at an offset, within the budgets of a file; match.ts asks it. */

import type { BlockDigest } from '../checksum/sums.ts';
import { limitHits } from '../limit-hits.ts';
import type { LimitName, Limits } from '../limits.ts';
import type { BlockIndex } from './block-index.ts';
import type { BlockSums } from './block-sums.ts';

/** A digest costs as much as hashing this many bytes even for the shortest block; keeps one-byte blocks inside the budget. */
const DIGEST_FLOOR = 256;

/** What bounds and steers the choice. */
export interface PickerOptions {
  readonly fileLength: number;
  readonly inPlace: boolean;
  readonly limits: Pick<
    Limits,
    'matchCandidates' | 'matchProbesPerByte' | 'matchProbesBase' | 'matchHashPerByte' | 'matchHashBase'
  >;
  readonly blockVariant: number | null;
}

/** Bytes to be compared with one given block. */
export interface Candidate {
  /** Signed weak sum of `bytes`. */
  readonly weak: number;
  readonly bytes: Uint8Array;
  /** File offset of `bytes`. */
  readonly at: number;
}

export class BlockPicker {
  /** Null when no full block can match. */
  readonly index: BlockIndex | null;
  readonly #sums: BlockSums;
  readonly #digest: BlockDigest;
  readonly #inPlace: boolean;
  /** In-place only, per index entry: a block used at its own offset and therefore still intact, else -1. */
  readonly #intact: Int32Array;
  /** Blocks worth comparing at the current offset. */
  readonly #candidates: Int32Array;
  #candidateCount = 0;
  #variant: number | null;
  /** The block after the last match: runs of consecutive blocks compress best (3-transfer.md 4.2). */
  #want = 0;
  #probesLeft: number;
  #hashBytesLeft: number;
  #spent = false;

  constructor(sums: BlockSums, index: BlockIndex | null, digest: BlockDigest, options: PickerOptions) {
    const { limits, fileLength } = options;
    this.index = index;
    this.#sums = sums;
    this.#digest = digest;
    this.#inPlace = options.inPlace;
    this.#intact = new Int32Array(options.inPlace && index !== null ? sums.fullCount : 0).fill(-1);
    this.#candidates = new Int32Array(limits.matchCandidates + 2);
    this.#variant = digest.variants > 1 ? options.blockVariant : 0;
    this.#probesLeft = limits.matchProbesPerByte * fileLength + limits.matchProbesBase;
    this.#hashBytesLeft = limits.matchHashPerByte * fileLength + limits.matchHashBase;
  }

  /** The block sum variant that has matched, or null as long as it is open. */
  get variant(): number | null {
    return this.#variant;
  }

  /** True once a budget is used up: the rest of the file is to be sent as literals. */
  get spent(): boolean {
    return this.#spent;
  }

  /** Takes `probes` table look-ups off the budget. */
  chargeProbes(probes: number): void {
    // SECURITY: sums aimed at our table must cost the client more than us, whatever their distribution (B-14).
    this.#probesLeft -= probes;
    if (this.#probesLeft < 0) this.#giveUp('matchProbesPerByte');
  }

  #giveUp(limit: LimitName): void {
    if (!this.#spent) limitHits.count(limit);
    this.#spent = true;
  }

  /** Whether some full block has this signed weak sum; looks at the expected next block first. */
  mayMatch(weak: number): boolean {
    const index = this.index!;
    if (index.weak[this.#want] === weak) return true;
    this.chargeProbes(1);
    return index.find(weak) >= 0;
  }

  /** The full block to use for `bytes` at file offset `at`, or -1; `weak` is their signed weak sum. */
  pick(weak: number, bytes: Uint8Array, at: number): number {
    this.#collect(weak, at);
    const count = this.#candidateCount;
    if (count === 0) return -1;
    for (let variant = this.#variant ?? 0; variant < this.#variantsToTry; variant++) {
      const digest = this.#sumOf(bytes, variant);
      if (digest === null) return -1;
      for (let i = 0; i < count; i++) {
        const block = this.#candidates[i]!;
        if (!this.#sums.strongEquals(block, digest)) continue;
        this.#want = block + 1;
        this.#variant = variant;
        if (this.#inPlace && block * this.#sums.head.blockLength === at) this.#markIntact(weak, digest, block);
        return block;
      }
    }
    return -1;
  }

  /** Whether `block` alone, of any length, may be used for these bytes. */
  pickExactly(block: number, candidate: Candidate): boolean {
    if (this.#sums.weakAt(block) !== candidate.weak) return false;
    if (this.#inPlace && block * this.#sums.head.blockLength < candidate.at) return false;
    for (let variant = this.#variant ?? 0; variant < this.#variantsToTry; variant++) {
      const digest = this.#sumOf(candidate.bytes, variant);
      if (digest !== null && this.#sums.strongEquals(block, digest)) return true;
    }
    return false;
  }

  get #variantsToTry(): number {
    return this.#variant === null ? this.#digest.variants : this.#variant + 1;
  }

  /** Strong sum of `bytes`, or null when the budget does not allow it. */
  #sumOf(bytes: Uint8Array, variant: number): Buffer | null {
    // SECURITY: one colliding weak sum would make us hash a whole block per byte of file (CVE-2026-119741, B-15).
    this.#hashBytesLeft -= Math.max(bytes.length, DIGEST_FLOOR);
    if (this.#hashBytesLeft < 0) this.#giveUp('matchHashPerByte');
    return this.#spent ? null : this.#digest.sum(bytes, variant);
  }

  /** Fills `#candidates` with the blocks of this weak sum that may be used at `at`, best first. */
  #collect(weak: number, at: number): void {
    const index = this.index!;
    this.#candidateCount = 0;
    if (this.#inPlace) {
      // The client merely seeks when a block stays where it is.
      const own = at / this.#sums.head.blockLength;
      if (Number.isInteger(own) && index.weak[own] === weak) this.#push(own);
    }
    const want = this.#want;
    if (index.weak[want] === weak && this.#isFresh(want, at)) this.#push(want);
    let probes = 1;
    // At most `matchCandidates` entries of one weak sum are in the index.
    for (let entry = index.find(weak); entry >= 0; entry = index.findFrom(index.next[entry]!, weak)) {
      const block = this.#usable(entry, at);
      if (block >= 0) this.#push(block);
      probes++;
    }
    this.chargeProbes(probes);
  }

  #push(block: number): void {
    this.#candidates[this.#candidateCount++] = block;
  }

  /** In-place rule (3-transfer.md 4.3): the client has not yet written over this block. */
  #isFresh(block: number, at: number): boolean {
    return !this.#inPlace || block * this.#sums.head.blockLength >= at;
  }

  /** A block of the entry that may be used at `at`, or -1. */
  #usable(entry: number, at: number): number {
    if (!this.#inPlace) return entry;
    const last = this.index!.last[entry]!;
    return this.#isFresh(last, at) ? last : this.#intact[entry]!;
  }

  /** Remembers that `block` stays where it is: the client will not write over it any more. */
  #markIntact(weak: number, digest: Buffer, block: number): void {
    const index = this.index!;
    for (let entry = index.find(weak); entry >= 0; entry = index.findFrom(index.next[entry]!, weak)) {
      if (this.#sums.strongEquals(entry, digest)) this.#intact[entry] = block;
    }
  }
}
