/** How far the client has come through the list, and what became of each file: for the status page, the terminal and the transfer log. */

import type { FileList, FoundEntry } from '../flist/file-list.ts';
import type { FileLists } from '../flist/lists.ts';
import { joinPath } from '../vfs/path.ts';
import type { FrameWriter } from '../wire/writer.ts';

/** A file whose content went out. */
export interface SentFile {
  /** Length of the whole file. */
  readonly sizeBytes: number;
  /** What it cost on the wire, item and sums included, in front of compression by SSH or TLS. */
  readonly wireBytes: number;
  /** From the module root, as the client knows it. Valid during the call. */
  path(): Buffer;
}

type ProgressLists = Pick<FileLists, 'isComplete' | 'totals'>;

/**
 * Clients ask for files in the order of the list and skip what they have: everything in front of the newest request is behind them.
 * Costs a few nanoseconds an entry, and nothing for those of a client that asks for nothing.
 */
export class TransferProgress {
  readonly #lists: ProgressLists;
  readonly #writer: Pick<FrameWriter, 'bytesProduced'>;
  readonly #onFileSent: (file: SentFile) => void;
  #list: FileList | null = null;
  /** Lists whose entries count as passed already, or do as the client comes through them. */
  readonly #begun = new WeakSet<FileList>();
  /** Entries of #list, in sorted order, that are behind the client. */
  #passedInList = 0;
  #passedBytes = 0;
  #current: FoundEntry | null = null;
  #currentFrom = 0;

  constructor(
    lists: ProgressLists,
    writer: Pick<FrameWriter, 'bytesProduced'>,
    onFileSent: (file: SentFile) => void = () => {},
  ) {
    this.#lists = lists;
    this.#writer = writer;
    this.#onFileSent = onFileSent;
  }

  /** The client asks for the content of entry `ndx`, which is `found`. */
  reached(ndx: number, found: FoundEntry): void {
    // The second pass goes back, and so may a client: no progress is lost by that.
    if (this.#list === null || found.list.start > this.#list.start) this.#begin(found.list);
    if (found.list === this.#list) this.#pass(found.list, ndx - found.list.start);
    this.#current = found;
    this.#currentFrom = this.#writer.bytesProduced;
  }

  /** The content that was asked for has gone out. */
  sent(sizeBytes: number): void {
    const found = this.#current;
    if (found === null) return;
    const wireBytes = this.#writer.bytesProduced - this.#currentFrom;
    this.#onFileSent({ sizeBytes, wireBytes, path: () => shownPath(found) });
  }

  /** The client has done with a list. */
  released(list: FileList): void {
    if (list === this.#list) this.#current = null;
    else if (this.#begun.has(list)) return;
    // The client wanted nothing of it, and may be at a later one by now.
    else if (this.#list !== null && list.start < this.#list.start) {
      this.#passWhole(list);
      return;
    } else this.#begin(list);
    this.#pass(list, list.count);
  }

  get listedBytes(): number {
    return this.#lists.totals.totalSizeBytes;
  }

  get entries(): number {
    return this.#lists.totals.entries;
  }

  get listMs(): number {
    return this.#lists.totals.buildMs;
  }

  get isListComplete(): boolean {
    return this.#lists.isComplete;
  }

  get passedBytes(): number {
    const current = this.#current;
    if (current === null) return this.#passedBytes;
    const ofCurrent = this.#writer.bytesProduced - this.#currentFrom;
    return this.#passedBytes + Math.min(ofCurrent, current.list.sizeBytes(current.position));
  }

  /** Path of the file that was asked for last; null between lists. */
  get path(): Buffer | null {
    return this.#current === null ? null : shownPath(this.#current);
  }

  #begin(list: FileList): void {
    if (this.#list !== null) this.#pass(this.#list, this.#list.count);
    this.#list = list;
    this.#passedInList = 0;
    this.#begun.add(list);
  }

  #passWhole(list: FileList): void {
    const passedInCurrent = this.#passedInList;
    this.#passedInList = 0;
    this.#pass(list, list.count);
    this.#passedInList = passedInCurrent;
  }

  #pass(list: FileList, entries: number): void {
    for (; this.#passedInList < entries; this.#passedInList++) {
      const position = list.positionOf(list.start + this.#passedInList);
      if (list.isRegular(position)) this.#passedBytes += list.sizeBytes(position);
    }
  }
}

/** Path of an entry from the module root, as the client knows it. */
export function shownPath(found: FoundEntry): Buffer {
  return joinPath(found.list.source(found.position).modulePath, found.list.name(found.position));
}
