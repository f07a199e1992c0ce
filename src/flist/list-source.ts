/** Where the lists of a session come from: its own scan (list-builder.ts), or one that it shares (recorded-lists.ts). */

import type { FileList } from './file-list.ts';
import type { SourceArgument } from './source-argument.ts';
import type { AbbreviatedNames } from './xattrs.ts';

/** Puts lists into the output of a session, one after the other. */
export interface ListSource {
  /** Number of the directory whose list comes next; null when there is none left. Of no use before `first`. */
  readonly nextDirectory: number | null;
  /** Whether the first list holds `.`: only then does the index below its start stand for something. */
  readonly hasRootDirectory: boolean;
  /** Entries so far. */
  readonly entriesSent: number;
  /** Sum of the lengths of regular files and links so far (3-transfer.md 8.2). */
  readonly totalSizeBytes: number;
  /**
   * Sends the first list; without incremental recursion it is the only one.
   * @param mayRepeatNames several arguments may list the same name.
   */
  first(args: AsyncIterable<SourceArgument> | Iterable<SourceArgument>, mayRepeatNames: boolean): Promise<FileList>;
  /** Sends the list of `nextDirectory`, without the index in front of it. */
  next(): Promise<FileList>;
  /** What this session makes us keep for `entries` of its lists and for all that is still to come, roughly and in bytes. */
  keptBytes(entries: number): number;
  /** Names behind what AttributeLists.put returned. */
  abbreviated(id: number): AbbreviatedNames;
}
