/** What building a file list works with: one session's view, options, output and limits. */

import type { ChecksumName, ContentSum } from '../checksum/sums.ts';
import type { ModuleFilter, SessionFilter } from '../filter/types.ts';
import type { Limits } from '../limits.ts';
import type { ServerOptions } from '../options/server-options.ts';
import type { TimeSlice } from '../slice.ts';
import type { ModuleView } from '../vfs/module-root.ts';
import type { DirectoryPath } from '../vfs/path.ts';
import type { ClientMessages } from '../wire/messages.ts';
import type { NdxEncoder } from '../wire/ndx.ts';
import type { FrameWriter } from '../wire/writer.ts';
import type { DigestCache } from './digest-cache.ts';
import type { IdNames } from './ids.ts';
import type { StoredEntries } from './stored-entries.ts';

/** The module's settings that shape its file lists. */
export interface ModuleListing {
  /** For messages and the prefix of path arguments; empty over a remote shell, where there is no module. */
  readonly name: string;
  readonly filter: ModuleFilter;
  readonly idNames: IdNames;
  readonly ignoreNonreadable: boolean;
  readonly mungeSymlinks: boolean;
  /** `outgoing_chmod`; null leaves modes alone. */
  readonly outgoingChmod: ((mode: number) => number) | null;
}

/** What sessions with `-c` share. */
export interface SharedDigests {
  readonly cache: DigestCache;
  /** The sum's name in it. */
  readonly sum: ChecksumName;
  /** Runs `read`, of a large file, when it is this session's turn. */
  readonly inTurn: <T>(read: () => Promise<T>) => Promise<T>;
}

/** Directories that others have read, or will want to. */
export interface CommonDirectories {
  /** The entries of one; null when they are not shared: the caller looks for itself, and reports what is wrong. */
  read(directory: DirectoryPath): Promise<StoredEntries | null>;
}

export interface ListContext {
  readonly protocol: number;
  readonly incRecurse: boolean;
  /** CF_* bits as sent. */
  readonly compatFlags: number;
  readonly options: ServerOptions;
  readonly limits: Limits;
  readonly view: ModuleView;
  readonly module: ModuleListing;
  readonly filter: SessionFilter;
  readonly writer: FrameWriter;
  readonly messages: ClientMessages;
  readonly ndxEncoder: NdxEncoder;
  /** The sum of `-c`; null without. */
  readonly listSum: ContentSum | null;
  /** Sums of `-c` that are known already; null where none are kept. */
  readonly digests: SharedDigests | null;
  /** Null where the session looks for itself. */
  readonly directories: CommonDirectories | null;
  readonly slice: TimeSlice;
}

/** Whether `breathe` would do anything. */
export function needsBreath({ slice, writer }: Pick<ListContext, 'slice' | 'writer'>): boolean {
  return slice.expired || writer.pressure;
}

/** Lets other sessions run and the peer catch up, when it is time for either. @throws PeerGone when there is no peer any more. */
export async function breathe(context: Pick<ListContext, 'slice' | 'writer'>): Promise<void> {
  if (context.slice.expired) await context.slice.yield();
  if (context.writer.pressure) await context.writer.drain();
}
