/** The weak rolling sum of block matching (3-transfer.md 3.6); transfer/match.ts takes it of every fresh window, and rolls it on. */

import { arena } from '../arena.ts';
import { type Kernel, kernel } from './kernel.ts';
import { GROUP, SUM_AT } from './weak-code.ts';

/**
 * Weak sum of `data[start…end)` as an unsigned 32-bit number: s1 in the low, s2 in the high 16 bits.
 *
 * With b the signed bytes of a window of n: `s1 = Σ b[k]`, `s2 = Σ (n - k)·b[k]`, both modulo 2^16. Moving the window
 * one byte on is `s1 += in - out; s2 += s1 - n·out` (with the new s1); only the low 16 bits of either ever matter.
 */
export function weakSum(data: Uint8Array, start: number, end: number): number {
  const code = kernel();
  if (code === null || !arena.holds(data)) return weakSumHere(data, start, end);
  return code.weak(data.byteOffset + start, data.byteOffset + end) >>> 0;
}

function weakSumHere(data: Uint8Array, start: number, end: number): number {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const length = end - start;
  const wordsEnd = end - (length & 15);
  let s1 = 0;
  let s2 = 0;
  let at = start;
  // Sixteen bytes per step, two per 32-bit lane pair. Flipping the top bit turns a signed byte b into b + 128, which
  // keeps the lanes free of borrows; the surplus is a closed formula taken off at the end.
  for (; at < wordsEnd; at += 16) {
    const w0 = view.getInt32(at, true) ^ 0x80808080;
    const w1 = view.getInt32(at + 4, true) ^ 0x80808080;
    const w2 = view.getInt32(at + 8, true) ^ 0x80808080;
    const w3 = view.getInt32(at + 12, true) ^ 0x80808080;
    const even0 = w0 & 0xff00ff;
    const odd0 = (w0 >>> 8) & 0xff00ff;
    const even1 = w1 & 0xff00ff;
    const odd1 = (w1 >>> 8) & 0xff00ff;
    const even2 = w2 & 0xff00ff;
    const odd2 = (w2 >>> 8) & 0xff00ff;
    const even = even0 + even1 + even2 + (w3 & 0xff00ff);
    const odd = odd0 + odd1 + odd2 + ((w3 >>> 8) & 0xff00ff);
    const upTo0 = even0 + odd0;
    const upTo1 = upTo0 + even1 + odd1;
    const upTo2 = upTo1 + even2 + odd2;
    // Words count 4 for each later word, bytes inside a word 4, 3, 2, 1.
    const words = upTo0 + upTo1 + upTo2;
    const weighted = ((words & 0xffff) + (words >>> 16) + (even & 0xffff)) << 2;
    s2 = (s2 + (s1 << 4) + weighted + ((even >>> 16) << 1) + (odd & 0xffff) * 3 + (odd >>> 16)) & 0xffff;
    const total = even + odd;
    s1 = (s1 + (total & 0xffff) + (total >>> 16)) & 0xffff;
  }
  for (; at < end; at++) {
    s1 = (s1 + (data[at]! ^ 0x80)) & 0xffff;
    s2 = (s2 + s1) & 0xffff;
  }
  s1 -= 128 * length;
  // 64·n·(n+1) stays exact below 2^53 for n < 2^23; longer windows lose nothing when reduced first.
  const reduced = length & 0xffff;
  s2 -= 64 * reduced * (reduced + 1);
  return ((s1 & 0xffff) | (s2 << 16)) >>> 0;
}

/** Which weak sums may be those of a block: block-index.ts says how. */
export interface WeakFilter {
  readonly multiplier: number;
  readonly bits: Int32Array;
  readonly wordShift: number;
}

/** Passes over offsets whose weak sum is that of no block, some at a time; what it stops at is for others to look at. */
export class WeakSkipper {
  /** Offsets behind the one where `skip` stops, one of which may be that of a block. */
  static readonly GROUP = GROUP;
  readonly #kernel: Kernel;
  readonly #data: number;
  readonly #filter: WeakFilter;
  readonly #blockLength: number;

  private constructor(code: Kernel, data: number, filter: WeakFilter, blockLength: number) {
    this.#kernel = code;
    this.#data = data;
    this.#filter = filter;
    this.#blockLength = blockLength;
  }

  /** Null without a kernel, and when it cannot reach `data` or the filter. */
  static of(data: Uint8Array, filter: WeakFilter, blockLength: number): WeakSkipper | null {
    const code = kernel();
    if (code === null || !arena.holds(data) || !arena.holds(filter.bits)) return null;
    return new WeakSkipper(code, data.byteOffset, filter, blockLength);
  }

  /**
   * Moves the window at `from`, whose sum is `sum`, on to at most `to`; the data must reach a block further.
   * @returns where it stops: less than a group before `to`, or than a group and one before an offset that may be that of a block.
   */
  skip(from: number, to: number, sum: number): number {
    const { bits, wordShift, multiplier } = this.#filter;
    const [data, length] = [this.#data, this.#blockLength];
    return this.#kernel.skip(sum, data + from, data + to, length, bits.byteOffset, wordShift, multiplier) - data;
  }

  /** Signed weak sum of the window where `skip` stopped last. */
  get sum(): number {
    return this.#kernel.words[SUM_AT / 4]!;
  }
}
