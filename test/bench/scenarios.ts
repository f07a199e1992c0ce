/** What the benchmark measures: trees, client options and how many clients; main.ts runs them. */

import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytesOf, withEdits } from '../helpers/content.ts';
import { makeManyFiles } from '../helpers/many-files.ts';
import { DEFAULT_MTIME } from '../helpers/tree.ts';

export interface Scenario {
  /** For --only. */
  readonly name: string;
  readonly title: string;
  /** Clients at once; one when absent. */
  readonly clients?: number;
  /**
   * Fills `dir`/module, and whatever the arguments name besides.
   * @param scale factor for sizes and counts; 1 is what the table's titles say.
   */
  prepare(dir: string, scale: number): void;
  /** Client options and destination; `out` is a fresh directory that is removed after the run. */
  args(dir: string, out: string): readonly string[];
}

const MIB = 1024 ** 2;

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'large',
    title: 'one file of 1 GiB',
    prepare: (dir, scale) => writeRandom(join(dir, 'module/large'), 'large', 1024 * scale),
    args: (_dir, out) => ['-a', '--whole-file', out],
  },
  {
    name: 'fresh',
    title: '100 000 small files, fresh',
    prepare: (dir, scale) => makeManyFiles(join(dir, 'module'), Math.round(100_000 * scale)),
    args: (_dir, out) => ['-a', out],
  },
  {
    name: 'uptodate',
    title: '100 000 small files, up to date',
    prepare: (dir, scale) => {
      for (const name of ['module', 'copy']) makeManyFiles(join(dir, name), Math.round(100_000 * scale));
    },
    args: upToDateArgs,
  },
  {
    name: 'delta-few',
    title: 'delta of 512 MiB, 200 edits',
    prepare: (dir, scale) => {
      const edited = join(dir, 'module/file');
      const basis = join(dir, 'basis/file');
      writeRandom(basis, 'delta', 512 * scale, (part) => withEdits(part, spread(part.length, 25)));
      writeRandom(edited, 'delta', 512 * scale);
      utimesSync(edited, DEFAULT_MTIME, DEFAULT_MTIME);
    },
    args: deltaArgs,
  },
  {
    name: 'delta-none',
    title: 'delta of 256 MiB, nothing matches',
    prepare: (dir, scale) => {
      writeRandom(join(dir, 'basis/file'), 'old', 256 * scale);
      writeRandom(join(dir, 'module/file'), 'new', 256 * scale);
      utimesSync(join(dir, 'module/file'), DEFAULT_MTIME, DEFAULT_MTIME);
    },
    args: deltaArgs,
  },
  {
    name: 'parallel',
    title: '100 clients at once, 2 000 files up to date',
    clients: 100,
    prepare: (dir) => {
      for (const name of ['module', 'copy']) makeManyFiles(join(dir, name), 2000);
    },
    args: upToDateArgs,
  },
];

/** The old file stands beside the destination, so that it is the same in every run. */
function deltaArgs(dir: string, out: string): readonly string[] {
  return ['-a', '--no-whole-file', `--compare-dest=${join(dir, 'basis')}`, out];
}

/** Writes random bytes in parts of at most 64 MiB; `change` may alter each part. */
function writeRandom(path: string, seed: string, mib: number, change = (part: Buffer): Buffer => part): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, '');
  for (let written = 0; written < mib; written += 64) {
    const length = Math.round(Math.min(64, mib - written) * MIB);
    writeFileSync(path, change(randomBytesOf(`${seed}${written}`, length)), { flag: 'a' });
  }
}

/** Directories of the two trees were made at different moments. */
function upToDateArgs(dir: string): readonly string[] {
  return ['-rt', '--omit-dir-times', join(dir, 'copy/')];
}

/** `count` offsets spread over `length` bytes. */
function spread(length: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => Math.floor(((index + 0.5) * length) / count));
}
