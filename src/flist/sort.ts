/**
 * The order in which both sides number the entries of a list (2-file-list.md 3).
 *
 * From protocol 29 a name compares element by element: files before directories, directories with their `/`. The key
 * puts one byte of kind before each element, so that a plain byte comparison of keys gives that order.
 */

import type { TimeSlice } from '../slice.ts';

const ITEM = 1;
const PATH = 2;
const SLASH = 0x2f;

/**
 * Sort key as a string of bytes (latin1), comparable with `<`.
 * @param name wire name; `.` is the transfer root.
 */
export function sortKey(name: Buffer, isDirectory: boolean, protocol: number): string {
  if (protocol < 29) return name.toString('latin1');
  const isDot = isDirectory && name[name.length - 1] === 0x2e && (name.length === 1 || name[name.length - 2] === SLASH);
  const lastSlash = name.lastIndexOf(SLASH);
  if (lastSlash < 0 && !isDot)
    return isDirectory ? `\x02${name.toString('latin1')}/` : `\x01${name.toString('latin1')}`;
  return longKey(name, isDirectory, isDot);
}

function longKey(name: Buffer, isDirectory: boolean, isDot: boolean): string {
  const key = Buffer.allocUnsafe(name.length * 2 + 2);
  let length = 0;
  let start = 0;
  for (let slash = name.indexOf(SLASH); slash >= 0; slash = name.indexOf(SLASH, start)) {
    key[length++] = PATH;
    length += name.copy(key, length, start, slash + 1);
    start = slash + 1;
  }
  if (isDot) key[length++] = ITEM;
  else {
    key[length++] = isDirectory ? PATH : ITEM;
    length += name.copy(key, length, start);
    if (isDirectory) key[length++] = SLASH;
  }
  return key.toString('latin1', 0, length);
}

/** Keys that are sorted in one go, and merged between two looks at the clock: about a millisecond. */
const RUN = 2048;

/** Positions of the keys in sorted order; equal keys keep their order. Yields to other sessions while it works. */
export async function sortedPositions(keys: readonly string[], slice: TimeSlice): Promise<Uint32Array> {
  let order = new Uint32Array(keys.length);
  for (let i = 0; i < order.length; i++) order[i] = i;
  const compare = (a: number, b: number): number => {
    const left = keys[a]!;
    const right = keys[b]!;
    return left < right ? -1 : left > right ? 1 : a - b;
  };
  for (let start = 0; start < order.length; start += RUN) {
    order.subarray(start, start + RUN).sort(compare);
    if (slice.expired) await slice.yield();
  }
  let merged = order.length > RUN ? new Uint32Array(order.length) : order;
  for (let width = RUN; width < order.length; width *= 2) {
    for (let start = 0; start < order.length; start += 2 * width) {
      await mergeRuns(merged, order, { start, middle: start + width, end: start + 2 * width, compare, slice });
    }
    [order, merged] = [merged, order];
  }
  return order;
}

interface Merge {
  readonly start: number;
  readonly middle: number;
  readonly end: number;
  readonly compare: (a: number, b: number) => number;
  readonly slice: TimeSlice;
}

/** Merges two sorted runs of `from` that lie side by side into `to`; either may reach beyond the end. */
async function mergeRuns(to: Uint32Array, from: Uint32Array, merge: Merge): Promise<void> {
  const { compare, slice } = merge;
  const middle = Math.min(merge.middle, from.length);
  const end = Math.min(merge.end, from.length);
  let left = merge.start;
  let right = middle;
  for (let at = left; at < end; at++) {
    const takesLeft = left < middle && (right >= end || compare(from[left]!, from[right]!) <= 0);
    to[at] = from[takesLeft ? left++ : right++]!;
    if (at % RUN === 0 && slice.expired) await slice.yield();
  }
}
