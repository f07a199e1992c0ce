/** The weak rolling sum of block matching (3-transfer.md 3.6); transfer/match.ts calls it for every fresh window. */

import { arena } from '../arena.ts';
import { kernel } from './kernel.ts';

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
