/** Scans and encodes the lists of one session (2-file-list.md 4): the first, then a sub-list per directory on demand. */

import { Bug } from '../errors.ts';
import { CF_ID0_NAMES, CF_SAFE_FLIST, CF_VARINT_FLIST_FLAGS } from '../wire/constants.ts';
import { AttributeLists } from './attributes.ts';
import { ArgumentLister } from './build.ts';
import { breathe, type ListContext } from './context.ts';
import { EntryEncoder } from './encode.ts';
import { FileList, type ListedDirectory } from './file-list.ts';
import { HardLinks } from './hard-links.ts';
import { MentionedIds } from './ids.ts';
import type { ListSource } from './list-source.ts';
import { ListScanner } from './scan.ts';
import type { SourceArgument } from './source-argument.ts';
import type { AbbreviatedNames } from './xattrs.ts';

/** What stays of an entry with its name, of a directory in objects, and of a group of hard links, roughly and in bytes. */
const ENTRY_BYTES = 100;
const DIRECTORY_BYTES = 700;
const GROUP_BYTES = 80;

/** Owns the numbering of lists, entries and directories. */
export class ListBuilder implements ListSource {
  readonly #context: ListContext;
  readonly #scanner: ListScanner;
  readonly #lister: ArgumentLister;
  readonly #encoder: EntryEncoder;
  readonly #hardLinks: HardLinks | null;
  readonly #users: MentionedIds;
  readonly #groups: MentionedIds;
  /** Null without `-A` and `-X`. */
  readonly #attributes: AttributeLists | null;
  /** Directories whose sub-list is still to be sent; the next one is last. */
  readonly #pending: ListedDirectory[] = [];
  #nextStart: number;
  #directories = 0;
  #announcedIoError = 0;
  hasRootDirectory = false;

  constructor(context: ListContext) {
    this.#context = context;
    const { options, limits, module } = context;
    const isNumeric = options.numericIds;
    this.#users = new MentionedIds(isNumeric ? new Map() : module.idNames.users);
    this.#groups = new MentionedIds(isNumeric ? new Map() : module.idNames.groups);
    this.#hardLinks = options.hardLinks ? new HardLinks(limits) : null;
    const ids = { users: this.#users, groups: this.#groups };
    this.#encoder = new EntryEncoder(layoutOf(context), context.writer, ids, this.#hardLinks);
    this.#attributes = options.acls || options.xattrs > 0 ? new AttributeLists(context, ids) : null;
    this.#scanner = new ListScanner(context, this.#encoder, this.#attributes);
    this.#lister = new ArgumentLister(context, this.#scanner);
    this.#nextStart = context.incRecurse ? 1 : 0;
  }

  get nextDirectory(): number | null {
    return this.#pending.at(-1)?.number ?? null;
  }

  get entriesSent(): number {
    return this.#scanner.entriesSent;
  }

  get totalSizeBytes(): number {
    return this.#scanner.totalSizeBytes;
  }

  keptBytes(entries: number): number {
    return entries * ENTRY_BYTES + this.#directories * DIRECTORY_BYTES + (this.#hardLinks?.groups ?? 0) * GROUP_BYTES;
  }

  abbreviated(id: number): AbbreviatedNames {
    if (this.#attributes === null) throw new Bug('no attributes were listed');
    return this.#attributes.abbreviated(id);
  }

  async first(
    args: AsyncIterable<SourceArgument> | Iterable<SourceArgument>,
    mayRepeatNames: boolean,
  ): Promise<FileList> {
    const { incRecurse } = this.#context;
    const list = this.#newList(incRecurse && mayRepeatNames);
    for await (const argument of args) {
      await this.#lister.add(list, argument);
      await breathe(this.#context);
    }
    await this.#finish(list);
    if (!incRecurse) this.#endOnlyList();
    return list;
  }

  async next(): Promise<FileList> {
    const directory = this.#pending.pop();
    if (directory === undefined) throw new Bug('no sub-list left to send');
    // Empty directories are never scanned for long enough to look at the clock.
    await breathe(this.#context);
    const list = this.#newList(directory.sources.length + directory.tails.length > 1);
    list.ownAttributes = directory.attributes ?? null;
    for (const source of directory.sources) await this.#scanner.scan(list, source);
    await this.#lister.continueTails(list, directory.tails);
    await this.#finish(list);
    return list;
  }

  #newList(mayRepeatNames: boolean): FileList {
    this.#scanner.startList(mayRepeatNames);
    return new FileList(this.#nextStart, this.#context.protocol);
  }

  /** End marker, numbering, and the order of the sub-lists to come. */
  async #finish(list: FileList): Promise<void> {
    this.#encoder.putEnd(this.#ioError);
    this.#announceIoError();
    list.entriesThrough = this.#scanner.entriesSent;
    this.#nextStart = list.start + list.count + 1;
    const directories = await list.finish(this.#context.slice);
    for (const directory of directories) directory.number = this.#directories++;
    const root = directories.find(({ wireName }) => isDot(wireName));
    if (root !== undefined) {
      this.hasRootDirectory = true;
      list.ownAttributes = root.attributes ?? null;
    }
    if (!this.#context.incRecurse) return;
    // One by one: a spread of a hundred thousand directories would overflow the stack.
    for (const directory of mergeRepeated(directories).reverse()) this.#pending.push(directory);
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
