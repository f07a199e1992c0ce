/** A directory tree with nothing left to chance: sorted, fixed modes and times; root.ts fills one. */

import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** 1980-01-01: the oldest time that every archive format can hold. */
const DEFAULT_EPOCH_SEC = 315_532_800;

export interface TreeFile {
  readonly bytes: Uint8Array;
  readonly isExecutable: boolean;
}

/** What a tree amounts to. */
export interface TreeSummary {
  readonly files: number;
  readonly directories: number;
  readonly bytes: number;
  /** SHA-256 over paths, modes, times and contents. */
  readonly digest: string;
}

/** The time of every entry: SOURCE_DATE_EPOCH of reproducible-builds.org where it is set. */
export function epochSec(): number {
  const given = process.env.SOURCE_DATE_EPOCH;
  return given !== undefined && /^\d{1,11}$/.test(given) ? Number(given) : DEFAULT_EPOCH_SEC;
}

/** Every path below `top`, sorted, directories before what they hold. */
function pathsBelow(top: string): string[] {
  return readdirSync(top, { recursive: true, encoding: 'utf8' }).sort();
}

/** Replaces the tree at `top`. Paths are relative to it; nobody but the owner may write anything. */
export function writeTree(
  top: string,
  files: ReadonlyMap<string, TreeFile>,
  emptyDirectories: readonly string[],
): void {
  rmSync(top, { recursive: true, force: true });
  for (const path of emptyDirectories) mkdirSync(join(top, path), { recursive: true });
  for (const [path, { bytes, isExecutable }] of files) {
    const place = join(top, path);
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, bytes);
    chmodSync(place, isExecutable ? 0o755 : 0o644);
  }
  const time = epochSec();
  // Deepest first: an entry that is made or changed touches the time of its directory.
  for (const path of ['', ...pathsBelow(top)].reverse()) {
    const place = join(top, path);
    if (lstatSync(place).isDirectory()) chmodSync(place, 0o755);
    utimesSync(place, time, time);
  }
}

/** The files and the empty directories below `top`, as `writeTree` takes them. */
export function readTree(top: string): { files: Map<string, TreeFile>; emptyDirectories: string[] } {
  const files = new Map<string, TreeFile>();
  const emptyDirectories: string[] = [];
  for (const path of pathsBelow(top)) {
    const place = join(top, path);
    const stat = lstatSync(place);
    if (stat.isFile()) files.set(path, { bytes: readFileSync(place), isExecutable: (stat.mode & 0o100) !== 0 });
    else if (readdirSync(place).length === 0) emptyDirectories.push(path);
  }
  return { files, emptyDirectories };
}

/** What is on disk now. */
export function summarise(top: string): TreeSummary {
  const hash = createHash('sha256');
  let files = 0;
  let directories = 0;
  let bytes = 0;
  for (const path of ['', ...pathsBelow(top)]) {
    const { mode, mtimeMs } = lstatSync(join(top, path));
    const content = lstatSync(join(top, path)).isFile() ? readFileSync(join(top, path)) : null;
    const digest = content === null ? '' : createHash('sha256').update(content).digest('hex');
    hash.update(`${path}\0${mode.toString(8)}\0${mtimeMs}\0${digest}\n`);
    files += content === null ? 0 : 1;
    directories += content === null ? 1 : 0;
    bytes += content?.length ?? 0;
  }
  return { files, directories, bytes, digest: hash.digest('hex') };
}
