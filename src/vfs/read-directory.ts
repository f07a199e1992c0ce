/** Names in a directory, however many there are; module-root.ts holds the directory's descriptor. */

import { closeSync, constants, fstatSync, openSync, readdirSync } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { OWN_DESCRIPTORS } from './descriptors.ts';

/**
 * A directory of this size (bytes) may hold so many names that listing it at once would stall the event loop: about 1500 on
 * ext4, 65 536 on file systems that count names.
 */
const BIG_DIRECTORY = 64n * 1024n;

/** Names that the thread pool reads at a time; they become strings in about a tenth of a millisecond. */
const NAMES_PER_READ = 256;

/**
 * Names in the directory that `fd` stands for, in its own order, without `.` and `..`. A big one is listed by the thread pool,
 * in parts.
 * @returns latin1 strings, one character for each byte: a Buffer for each of a million names costs far more.
 * @throws system errors.
 */
export async function readDirectory(fd: number): Promise<string[]> {
  // The dot makes the kernel ask for search permission, without which the names alone would be no use.
  const path = `${OWN_DESCRIPTORS}${fd}/.`;
  if (fstatSync(fd, { bigint: true }).size < BIG_DIRECTORY) return readdirSync(path, 'latin1');
  // A descriptor of its own: the caller's may be closed meanwhile.
  const own = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return await readInParts(`${OWN_DESCRIPTORS}${own}/`);
  } finally {
    closeSync(own);
  }
}

async function readInParts(path: string): Promise<string[]> {
  const names: string[] = [];
  const directory = await opendir(path, { encoding: 'latin1', bufferSize: NAMES_PER_READ });
  try {
    for (let first = await directory.read(); first !== null; first = await directory.read()) {
      names.push(first.name);
      // These were read along with the first; a promise for each would cost more than the read.
      for (let more = 1; more < NAMES_PER_READ; more++) {
        const entry = directory.readSync();
        if (entry === null) return names;
        names.push(entry.name);
      }
    }
    return names;
  } finally {
    directory.closeSync();
  }
}
