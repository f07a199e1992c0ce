/**
 * Block search: splits a file into literal ranges and matches with the client's blocks (3-transfer.md 4).
 * The sender of a file feeds it a sliding window and writes what the sink receives as tokens.
 */

import { WeakSkipper, weakSum } from '../checksum/rolling.ts';
import type { TransferSums } from '../checksum/sums.ts';
import { Bug } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { TimeSlice } from '../slice.ts';
import { BlockIndex } from './block-index.ts';
import { BlockPicker } from './block-picker.ts';
import type { BlockSums } from './block-sums.ts';

/** Offsets searched between two looks at the clock, and the most literal bytes held back: one plain chunk, 0.1 to 0.3 ms. */
const ROLL_STEP = 32_768;
/** File bytes that fit into a window next to one block. */
const WINDOW_PIECE = 256 * 1024;

/** Why `search` returned. */
export const SEARCH = {
  /** The time slice is over: yield, then call again with the same window. */
  YIELD: 0,
  /** The window is used up: drop what lies before `keepFrom`, append file bytes, call again. */
  MORE: 1,
  /** The whole file was handed to the sink. */
  DONE: 2,
} as const;
export type SearchState = (typeof SEARCH)[keyof typeof SEARCH];

/** The part of the file that is in memory; the caller owns and moves it. */
export interface MatchWindow {
  readonly bytes: Buffer;
  /** File offset of `bytes[0]`. */
  start: number;
  /** File bytes present from the beginning of `bytes`. */
  length: number;
}

/** Receives the file in order. All positions are relative to the window of the current `search` call. */
export interface MatchSink {
  /** `bytes[from…to)` is literal; never empty, at most as long as the window. */
  literal(from: number, to: number): void;
  /** `bytes[from…to)` equals block `block` of the old file. */
  match(block: number, from: number, to: number): void;
}

/** What a search of one file needs to know. */
export interface MatchOptions {
  /** Bytes of the file; the caller feeds exactly as many. */
  readonly fileLength: number;
  /** Whether the client overwrites its old file while it receives (3-transfer.md 4.3). */
  readonly inPlace: boolean;
  readonly limits: Pick<
    Limits,
    'matchCandidates' | 'matchProbesPerByte' | 'matchProbesBase' | 'matchHashPerByte' | 'matchHashBase'
  >;
  /** Any 32 random bits, new for each file or session. */
  readonly seed: number;
  /** `blockVariant` of an earlier file of the session, or null. */
  readonly blockVariant: number | null;
  /** Memory for the bitmap of the index, for as long as the search lasts; null for memory of its own. */
  readonly bitmap: Buffer | null;
}

/** Searches one file. Create with `BlockMatcher.create` once all sums have arrived. */
export class BlockMatcher {
  /** Bytes that the caller's window must hold: a block and a piece of file. */
  readonly windowBytes: number;
  readonly #sums: BlockSums;
  readonly #index: BlockIndex | null;
  readonly #picker: BlockPicker;
  readonly #sink: MatchSink;
  readonly #fileLength: number;
  readonly #blockLength: number;
  /** File offset of the window under test. */
  #at = 0;
  /** File offset of the first byte that the sink has not seen. */
  #literalFrom = 0;
  /** Whether s1 and s2 belong to the window at `#at`, which did not match. */
  #rolling = false;
  #s1 = 0;
  #s2 = 0;
  #searching: boolean;
  /** The caller's window as signed bytes. */
  #view: Int8Array = new Int8Array(0);
  #skipper: WeakSkipper | null = null;

  private constructor(sums: BlockSums, picker: BlockPicker, sink: MatchSink, options: MatchOptions) {
    this.#sums = sums;
    this.#picker = picker;
    this.#index = picker.index;
    this.#sink = sink;
    this.#fileLength = options.fileLength;
    this.#blockLength = sums.head.blockLength;
    this.#searching = sums.usable;
    this.windowBytes = WINDOW_PIECE + (sums.usable ? this.#blockLength : 0);
  }

  /** Indexes the sums, which takes time slices of its own, and returns a matcher at the start of the file. */
  static async create(
    sums: BlockSums,
    transferSums: TransferSums,
    sink: MatchSink,
    options: MatchOptions & { readonly slice: TimeSlice },
  ): Promise<BlockMatcher> {
    const indexOptions = { candidates: options.limits.matchCandidates, seed: options.seed, bitmap: options.bitmap };
    // A file shorter than a block can only match the short last one, which is not in the index.
    const worthIndexing = sums.usable && sums.fullCount > 0 && options.fileLength >= sums.head.blockLength;
    const index = worthIndexing ? await BlockIndex.build(sums, indexOptions, options.slice) : null;
    return new BlockMatcher(sums, new BlockPicker(sums, index, await transferSums.blocks(), options), sink, options);
  }

  /** File offset below which the window's bytes are no longer needed. */
  get keepFrom(): number {
    return this.#literalFrom;
  }

  /** Which form of block sum the client uses, once known (3-transfer.md 3.5); pass it on to the next file. */
  get blockVariant(): number | null {
    return this.#picker.variant;
  }

  /** Whether a budget ended the search and the rest of the file went out as literals (security.md B-14, B-15). */
  get gaveUp(): boolean {
    return this.#picker.spent;
  }

  /**
   * Searches as far as the window and the time slice reach. The window begins at or before `keepFrom`, continues from
   * call to call, and holds at least a block more than what `keepFrom` leaves, or the end of the file.
   * @throws Bug for a window with a gap.
   */
  search(window: MatchWindow, slice: TimeSlice): SearchState {
    if (window.start > this.#literalFrom) throw new Bug('match window begins after unsent bytes');
    const end = window.start + window.length;
    if (this.#index !== null && this.#searching) {
      const finished = this.#searchFull(window, end, slice);
      if (!finished) return SEARCH.YIELD;
    }
    if (end < this.#fileLength) {
      this.#flushLiterals(window, this.#searching && this.#index !== null ? this.#at : this.#literalEnd(end));
      return SEARCH.MORE;
    }
    if (this.#searching) this.#matchShortBlock(window);
    this.#flushLiterals(window, this.#fileLength);
    return SEARCH.DONE;
  }

  /** Without full blocks to look for, everything is literal but the tail that the short last block may match. */
  #literalEnd(end: number): number {
    if (!this.#searching) return end;
    return Math.max(this.#literalFrom, Math.min(end, this.#fileLength - this.#sums.shortLength));
  }

  /** Looks for full blocks; false when the slice ended first. */
  #searchFull(window: MatchWindow, end: number, slice: TimeSlice): boolean {
    const length = this.#blockLength;
    if (this.#view.buffer !== window.bytes.buffer || this.#view.byteOffset !== window.bytes.byteOffset) {
      this.#view = new Int8Array(window.bytes.buffer, window.bytes.byteOffset, window.bytes.byteLength);
      this.#skipper = WeakSkipper.of(window.bytes, this.#index!, length);
    }
    while (this.#searching) {
      if (this.#rolling) {
        if (this.#at + length >= end) return true;
        this.#rollOn(window, end);
      } else {
        if (this.#at + length > end) return true;
        this.#testFresh(window);
      }
      if (this.#picker.spent) this.#searching = false;
      if (slice.expired) return false;
    }
    return true;
  }

  #testFresh(window: MatchWindow): void {
    const at = this.#at - window.start;
    const sum = weakSum(window.bytes, at, at + this.#blockLength);
    this.#s1 = sum & 0xffff;
    this.#s2 = sum >>> 16;
    this.#rolling = true;
    if (this.#picker.mayMatch(sum | 0)) this.#testBlock(window, sum | 0);
  }

  #rollOn(window: MatchWindow, end: number): void {
    const from = this.#at - window.start;
    const to = Math.min(end - window.start - this.#blockLength, from + ROLL_STEP);
    const reached = this.#roll(from, to);
    this.#at = window.start + (reached < 0 ? ~reached : reached);
    if (reached >= 0) this.#testBlock(window, (this.#s1 & 0xffff) | (this.#s2 << 16));
    if (this.#at - this.#literalFrom >= ROLL_STEP) this.#flushLiterals(window, this.#at);
  }

  /** Rolls from `from` to at most `to`, both in the window; the first position whose sum is in the index, or ~`to`. */
  #roll(from: number, to: number): number {
    // Everything the loop touches is a local, and `| 0` tells the optimiser at the start and after each step that the
    // numbers are 32-bit integers (without it they are boxed: half the speed). It runs once per unmatched byte.
    const index = this.#index!;
    const { bits, heads } = index;
    const wordShift = index.wordShift | 0;
    const tableShift = index.tableShift | 0;
    const multiplier = index.multiplier | 0;
    const view = this.#view;
    const skipper = this.#skipper;
    const length = this.#blockLength | 0;
    const end = to | 0;
    let at = from | 0;
    let s1 = this.#s1 | 0;
    let s2 = this.#s2 | 0;
    let probes = 0;
    let reached = ~end;
    while (at < end) {
      let hash = 0;
      let passes = 0;
      let stop = end;
      if (skipper !== null) {
        at = skipper.skip(at, end, (s1 & 0xffff) | (s2 << 16)) | 0;
        const sum = skipper.sum | 0;
        s1 = sum & 0xffff;
        s2 = sum >>> 16;
        stop = Math.min(end, at + WeakSkipper.GROUP) | 0;
        if (at === end) break;
      }
      // The table stays out of the inner loop: with it, the registers do not suffice.
      do {
        const out = view[at]!;
        s1 = (s1 + ((view[(at + length) | 0]! - out) | 0)) | 0;
        s2 = (s2 + ((s1 - Math.imul(length, out)) | 0)) | 0;
        at = (at + 1) | 0;
        hash = Math.imul((s1 & 0xffff) | (s2 << 16), multiplier);
        passes = (bits[hash >>> wordShift]! >>> (hash >>> 8)) & 1;
      } while (passes === 0 && at < stop);
      if (passes === 0) continue;
      probes++;
      if (index.findFrom((heads[hash >>> tableShift]! - 1) | 0, (s1 & 0xffff) | (s2 << 16)) >= 0) {
        reached = at;
        break;
      }
    }
    this.#s1 = s1;
    this.#s2 = s2;
    this.#picker.chargeProbes(probes);
    return reached;
  }

  #testBlock(window: MatchWindow, weak: number): void {
    const from = this.#at - window.start;
    const to = from + this.#blockLength;
    const block = this.#picker.pick(weak, window.bytes.subarray(from, to), this.#at);
    if (block < 0) return;
    this.#flushLiterals(window, this.#at);
    this.#sink.match(block, from, to);
    this.#at += this.#blockLength;
    this.#literalFrom = this.#at;
    this.#rolling = false;
  }

  /** Tries the short last block, which we use at the end of the file only. */
  #matchShortBlock(window: MatchWindow): void {
    const at = this.#fileLength - this.#sums.shortLength;
    if (this.#sums.shortLength === 0 || at < this.#literalFrom) return;
    const from = at - window.start;
    const to = from + this.#sums.shortLength;
    const block = this.#sums.fullCount;
    const weak = weakSum(window.bytes, from, to) | 0;
    if (!this.#picker.pickExactly(block, { weak, bytes: window.bytes.subarray(from, to), at })) return;
    this.#flushLiterals(window, at);
    this.#sink.match(block, from, to);
    this.#literalFrom = this.#fileLength;
  }

  /** Hands everything before file offset `until` to the sink. */
  #flushLiterals(window: MatchWindow, until: number): void {
    if (until <= this.#literalFrom) return;
    this.#sink.literal(this.#literalFrom - window.start, until - window.start);
    this.#literalFrom = until;
  }
}
