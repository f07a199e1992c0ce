/**
 * The entries of one directory as they were at one moment, in one piece of memory: 84 bytes an entry, names and targets of links
 * beside. stored-directories.ts has them made, scan.ts puts them into lists.
 */

import { FileError, VanishedError } from '../errors.ts';
import type { TimeSlice } from '../slice.ts';
import type { FileStats, ModuleView } from '../vfs/module-root.ts';
import type { DirectoryPath } from '../vfs/path.ts';
import {
  type FileEntry,
  fillFromStats,
  isDirectoryMode,
  isLinkMode,
  isRegularMode,
  newEntry,
  writeLatin1,
} from './entry.ts';

/** Words in front: entries, and length of all names. */
const HEADER_BYTES = 8;
const ENTRY_BYTES = 84;

const NANOSECONDS = 1_000_000_000n;

/** Names between two looks at the clock. */
const NAMES_PER_LOOK = 32;

/** Columns of the table. */
interface Columns {
  readonly sizeBytes: Float64Array;
  readonly mtimeSec: Float64Array;
  readonly atimeSec: Float64Array;
  readonly ctimeNs: BigInt64Array;
  readonly inode: BigUint64Array;
  readonly device: BigUint64Array;
  readonly mtimeNsec: Uint32Array;
  /** 0: it could not be looked at. */
  readonly mode: Uint32Array;
  readonly uid: Uint32Array;
  readonly gid: Uint32Array;
  readonly linkCount: Uint32Array;
  readonly rdevMajor: Uint32Array;
  readonly rdevMinor: Uint32Array;
  /** Where the name ends; it begins where that of the entry before ends. */
  readonly nameEnd: Uint32Array;
  readonly targetEnd: Uint32Array;
}

function columnsOf(memory: ArrayBuffer, count: number): Columns {
  let at = HEADER_BYTES;
  const place = (width: number): [ArrayBuffer, number, number] => {
    const start = at;
    at += width * count;
    return [memory, start, count];
  };
  return {
    sizeBytes: new Float64Array(...place(8)),
    mtimeSec: new Float64Array(...place(8)),
    atimeSec: new Float64Array(...place(8)),
    ctimeNs: new BigInt64Array(...place(8)),
    inode: new BigUint64Array(...place(8)),
    device: new BigUint64Array(...place(8)),
    mtimeNsec: new Uint32Array(...place(4)),
    mode: new Uint32Array(...place(4)),
    uid: new Uint32Array(...place(4)),
    gid: new Uint32Array(...place(4)),
    linkCount: new Uint32Array(...place(4)),
    rdevMajor: new Uint32Array(...place(4)),
    rdevMinor: new Uint32Array(...place(4)),
    nameEnd: new Uint32Array(...place(4)),
    targetEnd: new Uint32Array(...place(4)),
  };
}

/** Entries in the order of the directory. */
export class StoredEntries {
  readonly count: number;
  readonly #columns: Columns;
  /** All names, latin1. */
  readonly #names: string;
  readonly #targets: Buffer;

  /** @param bytes what `StoredEntriesBuilder.parts` gave; all of its ArrayBuffer, which stays as it is. */
  constructor(bytes: Buffer<ArrayBuffer>) {
    this.count = bytes.readUInt32LE(0);
    this.#columns = columnsOf(bytes.buffer, this.count);
    const namesAt = HEADER_BYTES + ENTRY_BYTES * this.count;
    const namesEnd = namesAt + bytes.readUInt32LE(4);
    this.#names = bytes.toString('latin1', namesAt, namesEnd);
    this.#targets = bytes.subarray(namesEnd);
  }

  /** False when the entry could not be looked at; who wants it has to look again. */
  isKnown(i: number): boolean {
    return this.#columns.mode[i] !== 0;
  }

  isRegular(i: number): boolean {
    return isRegularMode(this.#columns.mode[i]!);
  }

  /** Its name, one latin1 character for each byte. */
  name(i: number): string {
    const { nameEnd } = this.#columns;
    return this.#names.slice(i === 0 ? 0 : nameEnd[i - 1]!, nameEnd[i]!);
  }

  /** Where a link leads; null for all else. */
  linkTarget(i: number): Buffer | null {
    const { targetEnd, mode } = this.#columns;
    return isLinkMode(mode[i]!) ? this.#targets.subarray(i === 0 ? 0 : targetEnd[i - 1]!, targetEnd[i]!) : null;
  }

  /** As fillFromStats, of an entry that is known. */
  fill(i: number, entry: FileEntry): void {
    const columns = this.#columns;
    entry.mode = columns.mode[i]!;
    entry.sizeBytes = columns.sizeBytes[i]!;
    entry.mtimeSec = columns.mtimeSec[i]!;
    entry.mtimeNsec = columns.mtimeNsec[i]!;
    entry.atimeSec = columns.atimeSec[i]!;
    entry.uid = columns.uid[i]!;
    entry.gid = columns.gid[i]!;
    entry.rdevMajor = columns.rdevMajor[i]!;
    entry.rdevMinor = columns.rdevMinor[i]!;
    entry.linkCount = columns.linkCount[i]!;
    entry.device = columns.device[i]!;
    entry.inode = columns.inode[i]!;
    entry.linkTarget = null;
    entry.checksum = null;
    entry.content = 0;
    entry.attributes = null;
  }

  /** The same in the form that the file system gives it in. */
  stats(i: number): FileStats {
    const entry = newEntry();
    this.fill(i, entry);
    return new StoredStats(entry, this.#columns.ctimeNs[i]!);
  }
}

/** Stats that were taken out of a table. */
class StoredStats implements FileStats {
  readonly ctimeNs: bigint;
  readonly #entry: FileEntry;

  constructor(entry: FileEntry, ctimeNs: bigint) {
    this.#entry = entry;
    this.ctimeNs = ctimeNs;
  }

  get dev(): bigint {
    return this.#entry.device;
  }

  get ino(): bigint {
    return this.#entry.inode;
  }

  get mode(): bigint {
    return BigInt(this.#entry.mode);
  }

  get nlink(): bigint {
    return BigInt(this.#entry.linkCount);
  }

  get uid(): bigint {
    return BigInt(this.#entry.uid);
  }

  get gid(): bigint {
    return BigInt(this.#entry.gid);
  }

  get size(): bigint {
    return BigInt(this.#entry.sizeBytes);
  }

  /** Linux's 64-bit device number. */
  get rdev(): bigint {
    const [major, minor] = [BigInt(this.#entry.rdevMajor), BigInt(this.#entry.rdevMinor)];
    return (minor & 0xffn) | ((major & 0xfffn) << 8n) | ((minor & ~0xffn) << 12n) | ((major & ~0xfffn) << 32n);
  }

  get mtimeNs(): bigint {
    return BigInt(this.#entry.mtimeSec) * NANOSECONDS + BigInt(this.#entry.mtimeNsec);
  }

  /** To the second. */
  get atimeNs(): bigint {
    return BigInt(this.#entry.atimeSec) * NANOSECONDS;
  }

  isDirectory(): boolean {
    return isDirectoryMode(this.#entry.mode);
  }

  isFile(): boolean {
    return isRegularMode(this.#entry.mode);
  }

  isSymbolicLink(): boolean {
    return isLinkMode(this.#entry.mode);
  }
}

/** Makes the table of a directory, name by name. */
export class StoredEntriesBuilder {
  readonly #names: readonly string[];
  readonly #bytes: Buffer<ArrayBuffer>;
  readonly #columns: Columns;
  readonly #targets: Buffer[] = [];
  readonly #entry = newEntry();
  #added = 0;
  #isWhole = true;
  #namesLength = 0;
  #targetsLength = 0;

  /** @param names latin1; an entry for each has to follow. */
  constructor(names: readonly string[]) {
    const count = names.length;
    const bytes = StoredEntriesBuilder.bytesFor(names);
    this.#names = names;
    this.#bytes = Buffer.from(new ArrayBuffer(bytes));
    this.#bytes.writeUInt32LE(count, 0);
    this.#bytes.writeUInt32LE(bytes - HEADER_BYTES - ENTRY_BYTES * count, 4);
    this.#columns = columnsOf(this.#bytes.buffer, count);
  }

  /** Memory that a directory with these names needs, but for links. */
  static bytesFor(names: readonly string[]): number {
    return names.reduce((sum, { length }) => sum + length, HEADER_BYTES + ENTRY_BYTES * names.length);
  }

  /** Whether every name so far was still there when it was looked at. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Looks at names until the table is complete or the slice is over. @returns whether it is complete. */
  goOn(view: ModuleView, directory: DirectoryPath, slice: Pick<TimeSlice, 'expired'>): boolean {
    for (let looked = 0; this.#added < this.#names.length; looked++) {
      if (looked % NAMES_PER_LOOK === 0 && slice.expired) return false;
      this.#lookAtNext(view, directory);
    }
    return true;
  }

  #lookAtNext(view: ModuleView, directory: DirectoryPath): void {
    const name = this.#names[this.#added]!;
    try {
      const stats = view.lstat(directory, name);
      this.#add(stats, stats.isSymbolicLink() ? view.readlink(directory, Buffer.from(name, 'latin1')) : null);
    } catch (thrown) {
      if (!(thrown instanceof FileError)) throw thrown;
      this.#add(null, null);
      if (thrown instanceof VanishedError) this.#isWhole = false;
    }
  }

  /** @param stats null when it could not be looked at. */
  #add(stats: FileStats | null, linkTarget: Buffer | null): void {
    const i = this.#added++;
    const columns = this.#columns;
    const namesAt = HEADER_BYTES + ENTRY_BYTES * this.#names.length;
    this.#namesLength = writeLatin1(this.#bytes, namesAt + this.#namesLength, this.#names[i]!) - namesAt;
    columns.nameEnd[i] = this.#namesLength;
    if (linkTarget !== null) {
      this.#targets.push(linkTarget);
      this.#targetsLength += linkTarget.length;
    }
    columns.targetEnd[i] = this.#targetsLength;
    if (stats !== null) this.#set(i, stats);
  }

  /** The table, once it is complete. */
  parts(): Buffer[] {
    return [this.#bytes, ...this.#targets];
  }

  /** The same, to be read. */
  entries(): StoredEntries {
    if (this.#targets.length === 0) return new StoredEntries(this.#bytes);
    const bytes = Buffer.from(new ArrayBuffer(this.#bytes.length + this.#targetsLength));
    let at = 0;
    for (const part of this.parts()) at += part.copy(bytes, at);
    return new StoredEntries(bytes);
  }

  #set(i: number, stats: FileStats): void {
    const columns = this.#columns;
    const entry = this.#entry;
    fillFromStats(entry, stats);
    columns.mode[i] = entry.mode;
    columns.sizeBytes[i] = entry.sizeBytes;
    columns.mtimeSec[i] = entry.mtimeSec;
    columns.mtimeNsec[i] = entry.mtimeNsec;
    columns.atimeSec[i] = entry.atimeSec;
    columns.ctimeNs[i] = stats.ctimeNs;
    columns.uid[i] = entry.uid;
    columns.gid[i] = entry.gid;
    columns.rdevMajor[i] = entry.rdevMajor;
    columns.rdevMinor[i] = entry.rdevMinor;
    columns.linkCount[i] = entry.linkCount;
    columns.device[i] = stats.dev;
    columns.inode[i] = stats.ino;
  }
}
