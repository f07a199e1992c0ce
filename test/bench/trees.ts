/** Large files for the scenarios. */

import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { randomBytesOf, textOf } from '../helpers/content.ts';
import { DEFAULT_MTIME } from '../helpers/tree.ts';

export const MIB = 1024 ** 2;

/** Parts that a file is made of. */
const PART_MIB = 64;

export interface FileOptions {
  readonly mib: number;
  /** The same seed gives the same content. */
  readonly seed: string;
  /** May alter each part. */
  readonly change?: (part: Buffer, index: number) => Buffer;
  readonly isText?: true;
}

/** Writes random bytes or text, part by part; the time is fixed. */
export function writeLarge(path: string, { mib, seed, change = (part) => part, isText }: FileOptions): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '');
  const make = isText ? textOf : randomBytesOf;
  for (let index = 0; index * PART_MIB < mib; index++) {
    const length = Math.round(Math.min(PART_MIB, mib - index * PART_MIB) * MIB);
    writeFileSync(path, change(make(`${seed}${index}`, length), index), { flag: 'a' });
  }
  utimesSync(path, DEFAULT_MTIME, DEFAULT_MTIME);
}
