/**
 * Names entries by plain paths, below a module root whose mount follows no link (linkless-roots.ts). The kernel refuses every link on
 * the way then, as descriptors do elsewhere, for a third of the cost; module-root.ts uses it where it may.
 */

import { isPlainText } from './descriptors.ts';
import type { DirectoryPath } from './path.ts';

/** Longest path of a directory, in bytes: with a name behind it, it stays below the 4096 that the kernel takes. */
const LONGEST_DIRECTORY = 3800;

/** How the entries of a directory are named. */
export interface Place {
  readonly path: DirectoryPath;
  /** What stands before a name; null where it cannot be written as text. */
  readonly prefix: string | null;
  /** The same as bytes, with room for a name behind it. */
  readonly scratch: Buffer;
  readonly prefixLength: number;
}

/** @param prefix ends with a slash; latin1. */
export function placeOf(path: DirectoryPath, prefix: string): Place {
  const scratch = Buffer.alloc(prefix.length + 256);
  scratch.write(prefix, 'latin1');
  return { path, prefix: isPlainText(prefix) ? prefix : null, scratch, prefixLength: prefix.length };
}

/** One session's paths below one root. */
export class PlainPaths {
  readonly #root: string;
  readonly #maxDepth: number;
  /** Of the directory asked for last: most questions are about the same. */
  #last: Place | null = null;

  /** @param root absolute path of the module root, as linklessRoots has it. */
  constructor(root: string, maxDepth: number) {
    this.#root = root;
    this.#maxDepth = maxDepth;
  }

  /** Null for a directory that lies too deep: it needs a descriptor. */
  placeOf(directory: DirectoryPath): Place | null {
    if (this.#last?.path === directory) return this.#last;
    if (directory.depth > this.#maxDepth) return null;
    const below = directory.toBuffer();
    if (this.#root.length + below.length > LONGEST_DIRECTORY) return null;
    const separator = below.length === 0 ? '' : '/';
    this.#last = placeOf(directory, `${this.#root}/${below.toString('latin1')}${separator}`);
    return this.#last;
  }
}
