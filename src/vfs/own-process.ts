/**
 * What the kernel knows of this process as bytes, and Node shows only as text: file names need not be UTF-8.
 * cli/command-mode.ts and cli/restrict.ts ask once at start.
 */

import { readFileSync, readlinkSync } from 'node:fs';

const NUL = 0;
const SLASH = 0x2f;

/** The working directory: a real path from `/` without leading slash; empty for `/`. */
export function workingDirectory(): Buffer {
  const path = readlinkSync('/proc/self/cwd', 'buffer');
  return path[0] === SLASH ? path.subarray(1) : path;
}

/** The last arguments of this process as bytes. @param texts what Node made of them. */
export function argumentBytes(texts: readonly string[]): Buffer[] {
  const all = readStrings('/proc/self/cmdline');
  const own = all.slice(Math.max(0, all.length - texts.length));
  return texts.map((text, i) => sameText(own[i], text));
}

/** A variable of the environment that this process was started with, as bytes. @param text what Node made of it. */
export function variableBytes(name: string, text: string): Buffer {
  const prefix = Buffer.from(`${name}=`);
  const found = readStrings('/proc/self/environ').find((entry) => entry.subarray(0, prefix.length).equals(prefix));
  return sameText(found?.subarray(prefix.length), text);
}

/** SECURITY: bytes that do not read as the text are something else; every decision is made on one and the same value. */
function sameText(bytes: Buffer | undefined, text: string): Buffer {
  return bytes?.toString() === text ? bytes : Buffer.from(text);
}

/** The strings of such a file, each ended by NUL; none where there is no /proc. */
function readStrings(path: string): Buffer[] {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch {
    return [];
  }
  const strings: Buffer[] = [];
  for (let start = 0; start < content.length; ) {
    const end = content.indexOf(NUL, start);
    strings.push(content.subarray(start, end < 0 ? content.length : end));
    start = end < 0 ? content.length : end + 1;
  }
  return strings;
}
