/** All lists of one session: building the first, building sub-lists on demand, finding entries by index (2-file-list.md 4). */

import { Bug, ProtocolError } from '../errors.ts';
import {
  CF_ID0_NAMES,
  CF_SAFE_FLIST,
  CF_VARINT_FLIST_FLAGS,
  NDX_FLIST_EOF,
  NDX_FLIST_OFFSET,
} from '../wire/constants.ts';
import { MAX_NDX_BYTES } from '../wire/ndx.ts';
import { AttributeLists } from './attributes.ts';
import { ArgumentLister } from './build.ts';
import { breathe, type ListContext } from './context.ts';
import { EntryEncoder } from './encode.ts';
import { FileList, type FoundEntry, type ListedAttributes, type ListedDirectory } from './file-list.ts';
import { HardLinks } from './hard-links.ts';
import { MentionedIds } from './ids.ts';
import { ListScanner } from './scan.ts';
import type { SourceArgument } from './source-argument.ts';
import type { AbbreviatedNames } from './xattrs.ts';

/** Figures of the end-of-run statistics (3-transfer.md 8.2). */
export interface ListTotals {
  readonly entries: number;
  readonly totalSizeBytes: number;
  readonly buildMs: number;
}

/** Owns the numbering of lists, entries and directories. */
export class FileLists {
  readonly #context: ListContext;
  readonly #scanner: ListScanner;
  readonly #lister: ArgumentLister;
  readonly #encoder: EntryEncoder;
  readonly #users: MentionedIds;
  readonly #groups: MentionedIds;
  /** Null without `-A` and `-X`. */
  readonly #attributes: AttributeLists | null;
  /** Lists from `#oldest` on are those that the client may still refer to, in order of their start. */
  #lists: FileList[] = [];
  #oldest = 0;
  /** Directories whose sub-list is still to be sent; the next one is last. */
  readonly #pending: ListedDirectory[] = [];
  #nextStart: number;
  #nextDirectory = 0;
  #isComplete = false;
  /** The first list holds `.`: only then does the index below its start stand for something. */
  #hasRootDirectory = false;
  #announcedIoError = 0;
  #buildMs = 0;

  constructor(context: ListContext) {
    this.#context = context;
    const { options, limits, module } = context;
    const isNumeric = options.numericIds;
    this.#users = new MentionedIds(isNumeric ? new Map() : module.idNames.users);
    this.#groups = new MentionedIds(isNumeric ? new Map() : module.idNames.groups);
    const hardLinks = options.hardLinks ? new HardLinks(limits) : null;
    const ids = { users: this.#users, groups: this.#groups };
    this.#encoder = new EntryEncoder(layoutOf(context), context.writer, ids, hardLinks);
    this.#attributes = options.acls || options.xattrs > 0 ? new AttributeLists(context, ids) : null;
    this.#scanner = new ListScanner(context, this.#encoder, this.#attributes);
    this.#lister = new ArgumentLister(context, this.#scanner);
    this.#nextStart = context.incRecurse ? 1 : 0;
  }

  /** True when every list has been sent. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** True when the client may still refer to a list. */
  get hasLive(): boolean {
    return this.#oldest < this.#lists.length;
  }

  get totals(): ListTotals {
    return {
      entries: this.#scanner.entriesSent,
      totalSizeBytes: this.#scanner.totalSizeBytes,
      buildMs: Math.max(1, Math.round(this.#buildMs)),
    };
  }

  /**
   * Sends the first list; without incremental recursion it is the only one.
   * @param mayRepeatNames several arguments may list the same name.
   */
  async sendFirst(
    args: AsyncIterable<SourceArgument> | Iterable<SourceArgument>,
    mayRepeatNames: boolean,
  ): Promise<void> {
    const { incRecurse } = this.#context;
    const startedMs = performance.now();
    const list = this.#newList(incRecurse && mayRepeatNames);
    for await (const argument of args) {
      await this.#lister.add(list, argument);
      await breathe(this.#context);
    }
    await this.#finish(list);
    if (!incRecurse) this.#endOnlyList();
    this.#buildMs += performance.now() - startedMs;
    // The client does nothing before it has a list with work in it (2-file-list.md 4.3).
    if (incRecurse && !this.#isComplete && list.count === 1) await this.sendSubList();
  }

  /** Entries in lists behind the one that the client is at: what the look-ahead keeps in stock. */
  entriesAhead(current: FileList): number {
    return this.#scanner.entriesSent - current.entriesThrough;
  }

  /** Sends the sub-list of the next directory, depth first. Only between two complete answers. */
  async sendSubList(): Promise<void> {
    const directory = this.#pending.pop();
    if (directory === undefined) throw new Bug('no sub-list left to send');
    const startedMs = performance.now();
    // Empty directories are never scanned for long enough to look at the clock.
    await breathe(this.#context);
    this.#putNdx(NDX_FLIST_OFFSET - directory.number);
    const list = this.#newList(directory.sources.length + directory.tails.length > 1);
    list.ownAttributes = directory.attributes ?? null;
    for (const source of directory.sources) await this.#scanner.scan(list, source);
    await this.#lister.continueTails(list, directory.tails);
    await this.#finish(list);
    this.#buildMs += performance.now() - startedMs;
  }

  /**
   * Finds what an index stands for.
   * @returns the entry, or the list whose directory the index names (one below its start).
   * @throws ProtocolError for an index that was never given out or whose list is released.
   */
  find(ndx: number): FoundEntry | { readonly list: FileList; readonly position: null } {
    const list = this.#listOf(ndx);
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
    if (listed === null || this.#attributes === null) return null;
    return { ...listed, names: this.#attributes.abbreviated(listed.abbreviatedId) };
  }

  /** Whether a list is the contents of a directory that the client knows; true for every sub-list. */
  #hasDirectory(list: FileList): boolean {
    return this.#context.incRecurse && (list.start > 1 || this.#hasRootDirectory);
  }

  /** The live list whose range, the index below its start included, may hold `ndx`. */
  #listOf(ndx: number): FileList | null {
    let low = this.#oldest;
    let high = this.#lists.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#lists[middle]!.start - 1 <= ndx) low = middle;
      else high = middle - 1;
    }
    return this.#lists[low] ?? null;
  }

  /** The oldest live list; undefined when all are released. */
  get oldest(): FileList | undefined {
    return this.#lists[this.#oldest];
  }

  /** Forgets the oldest list. */
  releaseOldest(): void {
    this.#oldest++;
    // Dropped in batches: one by one, the array would be moved for each of a million directories.
    if (this.#oldest < 1024 && this.#oldest < this.#lists.length) return;
    this.#lists = this.#lists.slice(this.#oldest);
    this.#oldest = 0;
  }

  #newList(mayRepeatNames: boolean): FileList {
    this.#scanner.startList(mayRepeatNames);
    const list = new FileList(this.#nextStart, this.#context.protocol);
    this.#lists.push(list);
    return list;
  }

  /** End marker, numbering, and the order of the sub-lists to come. */
  async #finish(list: FileList): Promise<void> {
    this.#encoder.putEnd(this.#ioError);
    this.#announceIoError();
    list.entriesThrough = this.#scanner.entriesSent;
    this.#nextStart = list.start + list.count + 1;
    const directories = await list.finish(this.#context.slice);
    for (const directory of directories) directory.number = this.#nextDirectory++;
    const root = directories.find(({ wireName }) => isDot(wireName));
    if (root !== undefined) {
      this.#hasRootDirectory = true;
      list.ownAttributes = root.attributes ?? null;
    }
    if (!this.#context.incRecurse) {
      this.#isComplete = true;
      return;
    }
    // One by one: a spread of a hundred thousand directories would overflow the stack.
    for (const directory of mergeRepeated(directories).reverse()) this.#pending.push(directory);
    if (this.#pending.length === 0) {
      this.#putNdx(NDX_FLIST_EOF);
      this.#isComplete = true;
    }
  }

  /** Id names and the I/O error word, which only a single list has. */
  #endOnlyList(): void {
    const { options, protocol, writer, compatFlags } = this.#context;
    if (!options.numericIds) {
      const sendsIdZero = (compatFlags & CF_ID0_NAMES) !== 0;
      if (options.owner || options.acls) this.#users.putList(writer, protocol, sendsIdZero);
      if (options.group || options.acls) this.#groups.putList(writer, protocol, sendsIdZero);
    }
    if (protocol < 30) writer.putInt32(this.#ioError);
  }

  get #ioError(): number {
    const { options, messages } = this.#context;
    return options.ignoreErrors ? 0 : messages.ioError;
  }

  /** Tells clients of protocol 30 whose end marker has no room for the I/O error word (2-file-list.md 2.10). */
  #announceIoError(): void {
    const { protocol, messages, compatFlags } = this.#context;
    if (protocol !== 30 || (compatFlags & CF_SAFE_FLIST) !== 0 || this.#ioError === this.#announcedIoError) return;
    this.#announcedIoError = this.#ioError;
    messages.ioErrorWord(this.#ioError);
  }

  #putNdx(ndx: number): void {
    this.#context.writer.putWith(MAX_NDX_BYTES, (buffer, offset) =>
      this.#context.ndxEncoder.encode(buffer, offset, ndx),
    );
  }
}

/** Directories that get a list of their own: the first of each name, with the contents of all (2-file-list.md 4.3). */
function mergeRepeated(sorted: readonly ListedDirectory[]): ListedDirectory[] {
  const kept: ListedDirectory[] = [];
  for (const directory of sorted) {
    if (isDot(directory.wireName)) continue;
    const previous = kept.at(-1);
    if (previous?.wireName.equals(directory.wireName)) {
      for (const source of directory.sources) {
        const isKnown = previous.sources.some(
          (other) => other.device === source.device && other.inode === source.inode,
        );
        if (!isKnown) previous.sources.push(source);
      }
      previous.tails.push(...directory.tails);
    } else kept.push(directory);
  }
  return kept;
}

function isDot(wireName: Buffer): boolean {
  return wireName.length === 1 && wireName[0] === 0x2e;
}

function layoutOf(context: ListContext) {
  const { protocol, incRecurse, compatFlags, options, listSum } = context;
  return {
    protocol,
    incRecurse,
    varintFlags: (compatFlags & CF_VARINT_FLIST_FLAGS) !== 0,
    safeFlist: (compatFlags & CF_SAFE_FLIST) !== 0 || protocol >= 31,
    owner: options.owner,
    group: options.group,
    devices: options.devices,
    specials: options.specials,
    links: options.links,
    atimes: options.atimes,
    checksumLength: listSum?.digestLength ?? 0,
  };
}
