/** A tar file (POSIX ustar) with nothing left to chance: the given order, root's files, one time; oci.ts packs with it. */

import { epochSec, type TreeFile } from './tree.ts';

const BLOCK = 512;

/** Where ustar cuts a long path. */
const NAME_BYTES = 100;
const PREFIX_BYTES = 155;

interface Entry {
  /** Relative; directories end with a slash. */
  readonly path: string;
  readonly mode: number;
  readonly bytes: Uint8Array;
}

/** The tar file of files and empty directories, with every directory before what it holds. */
export function tarOf(files: ReadonlyMap<string, TreeFile>, emptyDirectories: readonly string[] = []): Buffer {
  const parents = [...files.keys(), ...emptyDirectories.map((path) => `${path}/`)].flatMap(parentsOf);
  const directories = [...new Set(parents)].map((path) => ({ path: `${path}/`, mode: 0o755, bytes: Buffer.alloc(0) }));
  const contents = [...files].map(([path, { bytes, isExecutable }]) => ({
    ...{ path, bytes },
    mode: isExecutable ? 0o755 : 0o644,
  }));
  const entries = [...directories, ...contents].sort((a, b) => (a.path < b.path ? -1 : 1));
  return Buffer.concat([...entries.flatMap(entryBlocks), Buffer.alloc(2 * BLOCK)]);
}

/** `a/b/c` → `a`, `a/b`. */
function parentsOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

function entryBlocks(entry: Entry): Uint8Array[] {
  const rest = entry.bytes.length % BLOCK;
  return [header(entry), entry.bytes, Buffer.alloc(rest === 0 ? 0 : BLOCK - rest)];
}

function header({ path, mode, bytes }: Entry): Buffer {
  const block = Buffer.alloc(BLOCK);
  const { name, prefix } = split(path);
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0');
  block.write(name, 0);
  block.write(octal(mode, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(bytes.length, 11), 124);
  block.write(octal(epochSec(), 11), 136);
  block.write(' '.repeat(8), 148);
  block.write(path.endsWith('/') ? '5' : '0', 156);
  block.write('ustar\x0000', 257);
  block.write(prefix, 345);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\0 `, 148);
  return block;
}

function split(path: string): { name: string; prefix: string } {
  if (Buffer.byteLength(path) <= NAME_BYTES) return { name: path, prefix: '' };
  const at = path.indexOf('/', path.length - NAME_BYTES - 1);
  const [prefix, name] = [path.slice(0, at), path.slice(at + 1)];
  if (at <= 0 || name === '' || Buffer.byteLength(prefix) > PREFIX_BYTES) throw new Error(`too long for ustar: ${path}`);
  return { name, prefix };
}
