/** One file-list entry as the scan hands it to the encoder, and where its content lives. */

import type { FilterScope } from '../filter/types.ts';
import type { FileStats } from '../vfs/module-root.ts';
import type { DirectoryPath } from '../vfs/path.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../wire/constants.ts';
import type { EntryAttributes } from './attributes.ts';

/** A directory whose entries are (or were) put into the list. */
export interface SourceDirectory {
  /** The real directory: links that led here are already followed. */
  readonly directory: DirectoryPath;
  /** Its name in the list; empty for the transfer root. */
  readonly wireName: Buffer;
  /** Path from the module root as the client asked for it: for the module's filter and for messages. */
  readonly modulePath: Buffer;
  /** The client's rules in force for its entries. */
  readonly scope: FilterScope;
  /** Device of the argument, for `-x`. */
  readonly argumentDevice: bigint;
  readonly device: bigint;
  readonly inode: bigint;
  /** The directory it was found in; null for an argument's base. */
  readonly parent: SourceDirectory | null;
}

/** How a directory entry takes part in recursion and deletion (2-file-list.md 2.8). */
export const CONTENT_NONE = 0;
export const CONTENT_LISTED = 1;
export const CONTENT_TOP = 2;
export const CONTENT_IMPLIED = 3;

/** Attributes of one entry; the scan reuses one object for all entries. */
export interface FileEntry {
  /** Full name in the list; valid until the next entry. */
  name: Buffer;
  /** Type and permission bits with Linux numbers; 0 only for a missing argument (2-file-list.md 2.9). */
  mode: number;
  sizeBytes: number;
  mtimeSec: number;
  mtimeNsec: number;
  atimeSec: number;
  uid: number;
  gid: number;
  rdevMajor: number;
  rdevMinor: number;
  linkCount: number;
  device: bigint;
  inode: bigint;
  linkTarget: Buffer | null;
  /** Whole-file sum for `-c`; null means zero bytes where the field exists. */
  checksum: Buffer | null;
  /** One of CONTENT_*, for directories. */
  content: number;
  /** ACLs and extended attributes; null without `-A` and `-X`, and for a missing argument. */
  attributes: EntryAttributes | null;
}

export function newEntry(): FileEntry {
  return {
    name: Buffer.alloc(0),
    mode: 0,
    sizeBytes: 0,
    mtimeSec: 0,
    mtimeNsec: 0,
    atimeSec: 0,
    uid: 0,
    gid: 0,
    rdevMajor: 0,
    rdevMinor: 0,
    linkCount: 1,
    device: 0n,
    inode: 0n,
    linkTarget: null,
    checksum: null,
    content: CONTENT_NONE,
    attributes: null,
  };
}

const NANOSECONDS = 1_000_000_000;

/** Sets every attribute that comes from lstat; name, link target, checksum, content and attributes are the caller's. */
export function fillFromStats(entry: FileEntry, stats: FileStats): void {
  entry.mode = Number(stats.mode);
  entry.mtimeSec = secondsOf(stats.mtimeNs);
  entry.mtimeNsec = nanosecondsOf(stats.mtimeNs, entry.mtimeSec);
  entry.atimeSec = secondsOf(stats.atimeNs);
  entry.uid = Number(stats.uid);
  entry.gid = Number(stats.gid);
  entry.linkCount = Number(stats.nlink);
  entry.device = stats.dev;
  entry.inode = stats.ino;
  entry.linkTarget = null;
  entry.checksum = null;
  entry.content = CONTENT_NONE;
  entry.attributes = null;
  const special = isDeviceMode(entry.mode) || isSpecialMode(entry.mode);
  // Devices and specials have no size on the wire (2-file-list.md 2.2).
  entry.sizeBytes = special ? 0 : Number(stats.size);
  entry.rdevMajor = special ? Number(((stats.rdev >> 8n) & 0xfffn) | ((stats.rdev >> 32n) & ~0xfffn)) : 0;
  entry.rdevMinor = special ? Number((stats.rdev & 0xffn) | ((stats.rdev >> 12n) & 0xffffff00n)) : 0;
}

/** Clears everything but the name: the form of a missing argument (2-file-list.md 2.9). */
export function fillMissing(entry: FileEntry, name: Buffer): void {
  Object.assign(entry, newEntry(), { name });
}

/** Before 1970 the seconds round down, so that the nanoseconds stay positive. */
function secondsOf(time: bigint): number {
  // The conversion rounds by at most a few hundred nanoseconds, which can only matter beside a full second; the division
  // of bigints that this saves would cost as much as all the rest of an entry.
  const seconds = Math.floor(Number(time) / NANOSECONDS);
  const rest = nanosecondsOf(time, seconds);
  return rest < 0 ? seconds - 1 : rest >= NANOSECONDS ? seconds + 1 : seconds;
}

/** `time` less so many seconds, exact from -2^31 to 2^31. */
function nanosecondsOf(time: bigint, seconds: number): number {
  return (Number(BigInt.asIntN(32, time)) - Math.imul(seconds, NANOSECONDS)) | 0;
}

export function isDirectoryMode(mode: number): boolean {
  return (mode & S_IFMT) === S_IFDIR;
}

export function isRegularMode(mode: number): boolean {
  return (mode & S_IFMT) === S_IFREG;
}

export function isLinkMode(mode: number): boolean {
  return (mode & S_IFMT) === S_IFLNK;
}

export function isDeviceMode(mode: number): boolean {
  const type = mode & S_IFMT;
  return type === S_IFCHR || type === S_IFBLK;
}

export function isSpecialMode(mode: number): boolean {
  const type = mode & S_IFMT;
  return type === S_IFIFO || type === S_IFSOCK;
}

/** Up to this length a loop beats the call into Buffer's own code. */
const SHORT_NAME = 48;

/** Writes a latin1 string, one byte for each character. @returns the offset behind it. */
export function writeLatin1(into: Buffer, offset: number, text: string): number {
  const { length } = text;
  if (length > SHORT_NAME) return offset + into.write(text, offset, 'latin1');
  for (let i = 0; i < length; i++) into[offset + i] = text.charCodeAt(i);
  return offset + length;
}
