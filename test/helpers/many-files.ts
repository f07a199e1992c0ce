/** A tree of very many small files, for memory tests and the benchmark. */

import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytesOf } from './content.ts';
import { DEFAULT_MTIME } from './tree.ts';

/** Files per directory: what mail stores and package mirrors come near to. */
const PER_DIRECTORY = 500;

/** Makes `count` files of 0 to 2 KiB in directories two deep, all with fixed times. */
export function makeManyFiles(root: string, count: number): void {
  const pool = randomBytesOf('many', 8192);
  for (let index = 0; index < count; index++) {
    const bucket = Math.floor(index / PER_DIRECTORY);
    const directory = join(root, `group${Math.floor(bucket / 20)}`, `dir${bucket}`);
    if (index % PER_DIRECTORY === 0) mkdirSync(directory, { recursive: true });
    const path = join(directory, `file-${index}.dat`);
    writeFileSync(path, pool.subarray(index % 4096, (index % 4096) + ((index * 37) % 2048)));
    utimesSync(path, DEFAULT_MTIME, DEFAULT_MTIME);
  }
}
