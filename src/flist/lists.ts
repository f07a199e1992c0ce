/** All lists of one session: asking for them in time, finding entries by index (2-file-list.md 4). */

import { Bug, ProtocolError } from '../errors.ts';
import { NDX_FLIST_EOF, NDX_FLIST_OFFSET } from '../wire/constants.ts';
import { MAX_NDX_BYTES } from '../wire/ndx.ts';
import type { ListContext } from './context.ts';
import type { FileList, FoundEntry, ListedAttributes } from './file-list.ts';
import { ListBuilder } from './list-builder.ts';
import type { ListSource } from './list-source.ts';
import { LiveLists } from './live-lists.ts';
import type { SourceArgument } from './source-argument.ts';
import type { AbbreviatedNames } from './xattrs.ts';

/** Figures of the end-of-run statistics (3-transfer.md 8.2). */
export interface ListTotals {
  readonly entries: number;
  readonly totalSizeBytes: number;
  readonly buildMs: number;
}

/** Sends the lists of a source and knows which of them the client may still refer to. */
export class FileLists {
  readonly #context: Pick<ListContext, 'incRecurse' | 'writer' | 'ndxEncoder'>;
  readonly #source: ListSource;
  readonly #live = new LiveLists();
  #isComplete = false;
  #buildMs = 0;
  /** Entries of released lists. */
  #released = 0;

  /** @param source the session's own scan, unless it shares one. */
  constructor(context: ListContext, source: ListSource = new ListBuilder(context)) {
    this.#context = context;
    this.#source = source;
  }

  /** True when every list has been sent. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** True when the client may still refer to a list. */
  get hasLive(): boolean {
    return !this.#live.isEmpty;
  }

  get totals(): ListTotals {
    return {
      entries: this.#source.entriesSent,
      totalSizeBytes: this.#source.totalSizeBytes,
      buildMs: Math.max(1, Math.round(this.#buildMs)),
    };
  }

  /** Sends the first list: ListSource.first. */
  async sendFirst(
    args: AsyncIterable<SourceArgument> | Iterable<SourceArgument>,
    mayRepeatNames: boolean,
  ): Promise<void> {
    const list = await this.#add(() => this.#source.first(args, mayRepeatNames));
    // The client does nothing before it has a list with work in it (2-file-list.md 4.3).
    if (this.#context.incRecurse && !this.#isComplete && list.count === 1) await this.sendSubList();
  }

  /** Entries in lists behind the one that the client is at: what the look-ahead keeps in stock. */
  entriesAhead(current: FileList): number {
    return this.#source.entriesSent - current.entriesThrough;
  }

  /** Sends the sub-list of the next directory, depth first. Only between two complete answers. */
  async sendSubList(): Promise<void> {
    const directory = this.#source.nextDirectory;
    if (directory === null) throw new Bug('no sub-list left to send');
    this.#putNdx(NDX_FLIST_OFFSET - directory);
    await this.#add(() => this.#source.next());
  }

  /**
   * Finds what an index stands for.
   * @returns the entry, or the list whose directory the index names (one below its start).
   * @throws ProtocolError for an index that was never given out or whose list is released.
   */
  find(ndx: number): FoundEntry | { readonly list: FileList; readonly position: null } {
    const list = this.#live.around(ndx);
    if (list !== null && ndx >= list.start && ndx < list.start + list.count)
      return { list, position: list.positionOf(ndx) };
    if (list !== null && ndx === list.start - 1 && this.#hasDirectory(list)) return { list, position: null };
    // SECURITY: the one place where a peer's index becomes an array index (CVE-2025-10158).
    throw new ProtocolError('file-list index not in range');
  }

  /** Attributes of an entry that `find` gave. @returns where they lie and the names of those whose values the list left out. */
  abbreviatedXattrs(
    list: FileList,
    position: number | null,
  ): (ListedAttributes & { readonly names: AbbreviatedNames }) | null {
    const listed = position === null ? list.ownAttributes : list.attributes(position);
    if (listed === null) return null;
    return { ...listed, names: this.#source.abbreviated(listed.abbreviatedId) };
  }

  /** The oldest live list; undefined when all are released. */
  get oldest(): FileList | undefined {
    return this.#live.oldest;
  }

  /** What the lists of this session occupy, the one in the making included; roughly. */
  get keptBytes(): number {
    return this.#source.keptBytes(this.#source.entriesSent - this.#released);
  }

  /** Forgets the oldest list. */
  releaseOldest(): void {
    this.#released = this.oldest?.entriesThrough ?? this.#released;
    this.#live.releaseOldest();
  }

  /** Whether a list is the contents of a directory that the client knows; true for every sub-list. */
  #hasDirectory(list: FileList): boolean {
    return this.#context.incRecurse && (list.start > 1 || this.#source.hasRootDirectory);
  }

  /** Has a list sent; tells the client when it was the last. */
  async #add(send: () => Promise<FileList>): Promise<FileList> {
    const startedMs = performance.now();
    const list = await send();
    this.#live.add(list);
    if (this.#source.nextDirectory === null) {
      if (this.#context.incRecurse) this.#putNdx(NDX_FLIST_EOF);
      this.#isComplete = true;
    }
    this.#buildMs += performance.now() - startedMs;
    return list;
  }

  #putNdx(ndx: number): void {
    const { writer, ndxEncoder } = this.#context;
    writer.putWith(MAX_NDX_BYTES, (buffer, offset) => ndxEncoder.encode(buffer, offset, ndx));
  }
}
