/** Repeatable file contents for test trees: the same name and size always give the same bytes. */

import { createHash } from 'node:crypto';

/** Pseudo-random bytes that depend on `seed` alone; incompressible and without repeated blocks. */
export function randomBytesOf(seed: string, length: number): Buffer {
  // SHAKE is a generator of any length, and fast enough for a few hundred MiB.
  return length === 0 ? Buffer.alloc(0) : createHash('shake256', { outputLength: length }).update(seed).digest();
}

/** A copy of `content` with one byte changed at each offset. */
export function withEdits(content: Buffer, offsets: readonly number[]): Buffer {
  const edited = Buffer.from(content);
  for (const offset of offsets) edited[offset] = edited[offset]! ^ 0xff;
  return edited;
}

const WORDS =
  'the of and to in file list block sum token rsync daemon sender module client byte frame length zero'.split(' ');

/** Text of pseudo-random words that depends on `seed` alone: compresses to about a third, without long repetitions. */
export function textOf(seed: string, length: number): Buffer {
  const words: string[] = [];
  let characters = 0;
  for (const byte of randomBytesOf(seed, length)) {
    if (characters >= length) break;
    const word = byte % 11 === 0 ? `${byte * 7919}\n` : `${WORDS[byte % WORDS.length]} `;
    words.push(word);
    characters += word.length;
  }
  return Buffer.from(words.join('')).subarray(0, length);
}
