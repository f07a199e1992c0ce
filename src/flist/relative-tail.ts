/** Arguments of --relative on their way through the sub-lists of incremental recursion (2-file-list.md 4.4). */

import type { SourceDirectory } from './entry.ts';
import type { Examined } from './examine.ts';
import type { SourceArgument } from './source-argument.ts';

/** An argument that exists, passed every filter and is to be sent. */
export interface FoundArgument {
  readonly argument: SourceArgument;
  readonly base: SourceDirectory;
  /** Components of its name but the last. */
  readonly parents: readonly Buffer[];
  /** The directory that holds it. */
  readonly source: SourceDirectory;
  readonly name: Buffer;
  readonly examined: Examined;
}

/** An argument whose entry comes in a later list than its first parent. */
export interface RelativeTail {
  readonly found: FoundArgument;
  /** Parents sent so far, in earlier lists. */
  readonly sentParents: number;
}
