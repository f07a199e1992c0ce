/** What stays of a sent list: enough to find and open an entry by its index, in typed arrays (28 bytes an entry plus its name, 2 more in a list that something was requested of). */

import type { TimeSlice } from '../slice.ts';
import { type FileEntry, isDirectoryMode, isRegularMode, type SourceDirectory, writeLatin1 } from './entry.ts';
import type { RelativeTail } from './relative-tail.ts';
import { sortedPositions, sortKey } from './sort.ts';

/** Words of one record: name start, name length, source, size low, size high, flags. */
const WORDS = 6;
const W_NAME = 0;
const W_LENGTH = 1;
const W_SOURCE = 2;
const W_SIZE_LOW = 3;
const W_SIZE_HIGH = 4;
const W_FLAGS = 5;

const IS_REGULAR = 1;
const IS_DIRECTORY = 2;
const IS_FOLLOWED = 4;

/** What a list costs beside its entries, roughly and in bytes. */
const LIST_OVERHEAD = 500;

const TWO_32 = 2 ** 32;

/** Names between two looks at the clock. */
const NAMES_PER_LOOK = 1024;

/** A directory entry of a list and where its contents come from. */
export interface ListedDirectory {
  readonly wireName: Buffer;
  /** Directories whose entries make up its list: several when arguments overlap, none when its contents are not sent. */
  readonly sources: SourceDirectory[];
  /** Arguments of --relative that continue below it, with incremental recursion. */
  readonly tails: RelativeTail[];
  /** Number in the session's directory table (2-file-list.md 4.2); -1 until the list is finished. */
  number: number;
  /** Its own attributes, for requests that name it by its list; absent when no value was left out. */
  attributes?: ListedAttributes;
}

/** Where the attributes of a listed entry are read again, and which of its values the list left out. */
export interface ListedAttributes {
  readonly source: SourceDirectory;
  readonly name: Buffer;
  /** What AttributeLists.put returned. */
  readonly abbreviatedId: number;
}

/** An entry found by its index. */
export interface FoundEntry {
  readonly list: FileList;
  readonly position: number;
}

/** A finished list as plain memory, and where its entries come from. */
export interface PackedList {
  readonly records: Uint32Array;
  readonly order: Uint32Array;
  readonly names: Buffer;
  readonly sources: readonly SourceDirectory[];
}

/** One list or sub-list. */
export class FileList {
  /** Index of its first entry. */
  readonly start: number;
  readonly #protocol: number;
  #records: Uint32Array = new Uint32Array(16 * WORDS);
  #names: Buffer = Buffer.allocUnsafe(256);
  #namesLength = 0;
  #sources: SourceDirectory[] = [];
  #order: Uint32Array = new Uint32Array(0);
  /** Its directories by place of transmission. */
  #directories = new Map<number, ListedDirectory>();
  count = 0;
  /** Entries of the session up to and with this list; set when it is complete. */
  entriesThrough = 0;
  /** Attributes of the directory whose contents these are. */
  ownAttributes: ListedAttributes | null = null;
  #ownReports = 0;
  /** Sends and reports of each entry, once there are any: the only part that sessions never share. */
  #counters: Uint8Array | null = null;
  /** What AttributeLists.put returned, by place of transmission; null while that is 0 for all. */
  #abbreviated: Uint32Array<ArrayBuffer> | null = null;

  /** Gives what stands in the list; null when that is here. */
  #load: (() => PackedList) | null = null;

  constructor(start: number, protocol: number) {
    this.start = start;
    this.#protocol = protocol;
  }

  /**
   * Notes an entry that was sent.
   * @param name the part of its wire name below the source's, as it opens in `source.directory`; bytes or a latin1 string.
   * @param isFollowed the entry is a link whose referent was listed.
   */
  push(entry: FileEntry, source: SourceDirectory, name: Buffer | string, isFollowed: boolean): void {
    const at = this.count * WORDS;
    if (at === this.#records.length) this.#records = grow(this.#records);
    this.#reserveName(name.length);
    if (this.#sources[this.#sources.length - 1] !== source) this.#sources.push(source);
    const records = this.#records;
    records[at + W_NAME] = this.#namesLength;
    records[at + W_LENGTH] = name.length;
    records[at + W_SOURCE] = this.#sources.length - 1;
    records[at + W_SIZE_LOW] = entry.sizeBytes;
    records[at + W_SIZE_HIGH] = Math.floor(entry.sizeBytes / TWO_32);
    records[at + W_FLAGS] =
      (isRegularMode(entry.mode) ? IS_REGULAR : 0) |
      (isDirectoryMode(entry.mode) ? IS_DIRECTORY : 0) |
      (isFollowed ? IS_FOLLOWED : 0);
    this.#namesLength =
      typeof name === 'string'
        ? writeLatin1(this.#names, this.#namesLength, name)
        : this.#namesLength + name.copy(this.#names, this.#namesLength);
    this.count++;
  }

  /** Notes what stands in the attribute list of the entry sent last. @param id what AttributeLists.put returned. */
  noteXattrs(id: number): void {
    if (id === 0) return;
    const entries = this.#records.length / WORDS;
    if (this.#abbreviated === null || this.#abbreviated.length < entries) {
      const larger = new Uint32Array(entries);
      larger.set(this.#abbreviated ?? []);
      this.#abbreviated = larger;
    }
    this.#abbreviated[this.count - 1] = id;
  }

  /** Attributes whose values were left out; null when there are none. */
  attributes(position: number): ListedAttributes | null {
    const abbreviatedId = this.#abbreviated?.[position] ?? 0;
    if (abbreviatedId === 0) return null;
    return {
      source: this.source(position),
      // Copied: it must not keep the names of a released list.
      name: Buffer.from(this.name(position)),
      abbreviatedId,
    };
  }

  /** Notes that the entry sent last is a directory that may have contents. */
  addDirectory(directory: ListedDirectory): void {
    const attributes = this.attributes(this.count - 1);
    if (attributes !== null) directory.attributes = attributes;
    this.#directories.set(this.count - 1, directory);
  }

  /**
   * Sorts the list, once it is complete. Yields to other sessions while it works.
   * @returns its directories in sorted order, duplicates included.
   */
  async finish(slice: TimeSlice): Promise<ListedDirectory[]> {
    const keys: string[] = new Array(this.count);
    // Entries of one directory differ below it only.
    const isOneDirectory = this.#sources.length === 1;
    for (let i = 0; i < this.count; i++) {
      const name = isOneDirectory ? this.name(i) : this.wireName(i);
      keys[i] = sortKey(name, (this.#flags(i) & IS_DIRECTORY) !== 0, this.#protocol);
      if (i % NAMES_PER_LOOK === 0 && slice.expired) await slice.yield();
    }
    this.#order = await sortedPositions(keys, slice);
    if (this.#directories.size === 0) return [];
    const sorted: ListedDirectory[] = [];
    for (const position of this.#order) {
      const directory = this.#directories.get(position);
      if (directory !== undefined) sorted.push(directory);
    }
    this.#directories = new Map();
    return sorted;
  }

  /** Place of transmission of a sorted index: where every look at an entry begins. */
  positionOf(ndx: number): number {
    if (this.#load !== null) this.#unpack(this.#load());
    return this.#order[ndx - this.start]!;
  }

  wireName(position: number): Buffer {
    const { wireName } = this.source(position);
    const name = this.name(position);
    if (wireName.length === 0) return name;
    return Buffer.concat([wireName, SEPARATOR, name]);
  }

  /** Name inside the source directory. */
  name(position: number): Buffer {
    const at = position * WORDS;
    const start = this.#records[at + W_NAME]!;
    return this.#names.subarray(start, start + this.#records[at + W_LENGTH]!);
  }

  /** The same as a latin1 string, which opens faster. */
  nameText(position: number): string {
    const at = position * WORDS;
    const start = this.#records[at + W_NAME]!;
    return this.#names.toString('latin1', start, start + this.#records[at + W_LENGTH]!);
  }

  source(position: number): SourceDirectory {
    return this.#sources[this.#records[position * WORDS + W_SOURCE]!]!;
  }

  sizeBytes(position: number): number {
    const at = position * WORDS;
    return this.#records[at + W_SIZE_LOW]! + this.#records[at + W_SIZE_HIGH]! * TWO_32;
  }

  isRegular(position: number): boolean {
    return (this.#flags(position) & IS_REGULAR) !== 0;
  }

  isFollowed(position: number): boolean {
    return (this.#flags(position) & IS_FOLLOWED) !== 0;
  }

  /** Times that the content was requested before this call; saturates at 255. */
  countSend(position: number): number {
    return this.#count(2 * position);
  }

  /** Times that attributes were reported before this call; saturates at 255. */
  countReport(position: number): number {
    return this.#count(2 * position + 1);
  }

  /** Times that the attributes of the list's own directory were reported before this call. */
  countOwnReport(): number {
    return this.#ownReports++;
  }

  /** The same list for another session, which counts on its own. Only of a finished list. */
  share(): FileList {
    const twin = new FileList(this.start, this.#protocol);
    twin.#records = this.#records;
    twin.#names = this.#names;
    twin.#sources = this.#sources;
    twin.#order = this.#order;
    twin.count = this.count;
    twin.entriesThrough = this.entriesThrough;
    return twin;
  }

  /** What `unpack` wants, of a list that is compact. */
  pack(): PackedList {
    return { records: this.#records, order: this.#order, names: this.#names, sources: this.#sources };
  }

  /**
   * The list that was packed. `entriesThrough` is the caller's.
   * @param load called when the first entry is asked for, if ever.
   */
  static unpack(known: { start: number; protocol: number; count: number }, load: () => PackedList): FileList {
    const list = new FileList(known.start, known.protocol);
    list.count = known.count;
    list.#load = load;
    return list;
  }

  /** Gives back what it was given to grow. @returns bytes that it keeps, roughly. */
  compact(): number {
    this.#records = this.#records.slice(0, this.count * WORDS);
    this.#names = Buffer.from(this.#names.subarray(0, this.#namesLength));
    return this.#records.byteLength + this.#namesLength + this.#order.byteLength + LIST_OVERHEAD;
  }

  #unpack({ records, order, names, sources }: PackedList): void {
    this.#load = null;
    this.#records = records;
    this.#order = order;
    this.#names = names;
    this.#sources = [...sources];
  }

  #count(at: number): number {
    this.#counters ??= new Uint8Array(2 * this.count);
    const before = this.#counters[at]!;
    if (before < 0xff) this.#counters[at] = before + 1;
    return before;
  }

  #flags(position: number): number {
    return this.#records[position * WORDS + W_FLAGS]!;
  }

  #reserveName(length: number): void {
    if (this.#namesLength + length <= this.#names.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#names.length * 2, this.#namesLength + length));
    this.#names.copy(larger, 0, 0, this.#namesLength);
    this.#names = larger;
  }
}

const SEPARATOR = Buffer.from('/');

function grow(records: Uint32Array): Uint32Array {
  const larger = new Uint32Array(records.length * 2);
  larger.set(records);
  return larger;
}
