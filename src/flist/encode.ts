/**
 * FileEntry → bytes of the file list, for every protocol (2-file-list.md 2).
 *
 *   xflags [l1] l2 name [hlink index] size [mtime] [nsec] [mode] [atime] [uid [name]] [gid [name]] [rdev] [link] [dev ino] [checksum]
 *
 * ACLs and extended attributes follow each entry, abbreviated ones too: attributes.ts.
 */

import type { FrameWriter } from '../wire/writer.ts';
import {
  CONTENT_IMPLIED,
  CONTENT_LISTED,
  CONTENT_NONE,
  CONTENT_TOP,
  type FileEntry,
  isDeviceMode,
  isDirectoryMode,
  isLinkMode,
  isRegularMode,
  isSpecialMode,
} from './entry.ts';
import type { HardLinks } from './hard-links.ts';
import { type MentionedIds, putName } from './ids.ts';

/** Bits of xflags (2-file-list.md 2.1). */
const XMIT_TOP_DIR = 0x0001;
const XMIT_SAME_MODE = 0x0002;
const XMIT_SAME_RDEV = 0x0004;
const XMIT_EXTENDED = 0x0004;
const XMIT_SAME_UID = 0x0008;
const XMIT_SAME_GID = 0x0010;
const XMIT_SAME_NAME = 0x0020;
const XMIT_LONG_NAME = 0x0040;
const XMIT_SAME_TIME = 0x0080;
const XMIT_SAME_RDEV_MAJOR = 0x0100;
const XMIT_NO_CONTENT_DIR = 0x0100;
const XMIT_HLINKED = 0x0200;
const XMIT_SAME_DEV = 0x0400;
const XMIT_USER_NAME = 0x0400;
const XMIT_RDEV_MINOR_8 = 0x0800;
const XMIT_GROUP_NAME = 0x0800;
const XMIT_HLINK_FIRST = 0x1000;
const XMIT_IO_ERROR_END = 0x1000;
const XMIT_MOD_NSEC = 0x2000;
const XMIT_SAME_ATIME = 0x4000;

/** What decides the layout of entries, fixed for the session. */
export interface EntryLayout {
  readonly protocol: number;
  readonly incRecurse: boolean;
  /** Compat bits VARINT_FLIST_FLAGS and SAFE_FLIST (the latter also implied by protocol 31). */
  readonly varintFlags: boolean;
  readonly safeFlist: boolean;
  readonly owner: boolean;
  readonly group: boolean;
  readonly devices: boolean;
  readonly specials: boolean;
  readonly links: boolean;
  readonly atimes: boolean;
  /** Length of the `-c` sum, 0 without `-c`. */
  readonly checksumLength: number;
}

/** Encodes the entries of one session; its running state spans all sub-lists. */
export class EntryEncoder {
  readonly #layout: EntryLayout;
  readonly #writer: FrameWriter;
  readonly #users: MentionedIds;
  readonly #groups: MentionedIds;
  readonly #hardLinks: HardLinks | null;
  readonly #name = Buffer.alloc(4096);
  #nameLength = 0;
  #mode = 0;
  #mtimeSec = 0;
  #atimeSec = 0;
  #uid = 0;
  #gid = 0;
  #rdevMajor = 0;
  #rdev27 = 0;
  #linkDevice = 0n;
  #userName: Buffer | null = null;
  #groupName: Buffer | null = null;

  /** @param hardLinks the session's groups, null without `-H`. */
  constructor(
    layout: EntryLayout,
    writer: FrameWriter,
    ids: { users: MentionedIds; groups: MentionedIds },
    hardLinks: HardLinks | null,
  ) {
    this.#layout = layout;
    this.#writer = writer;
    this.#users = ids.users;
    this.#groups = ids.groups;
    this.#hardLinks = hardLinks;
  }

  /**
   * Writes one entry.
   * @param listStart index of the list's first entry.
   * @param position 0-based place of this entry in its list, in order of transmission.
   */
  put(entry: FileEntry, listStart: number, position: number): void {
    const { protocol } = this.#layout;
    let flags = this.#attributeFlags(entry);
    const linked = this.#hardLinks?.isCandidate(entry, protocol) ?? false;
    const group = linked && protocol >= 30 ? this.#hardLinks!.group(entry, listStart + position) : 0;
    const isFirst = group < 0;
    if (linked && protocol > 27) {
      flags |= XMIT_HLINKED;
      if (protocol >= 30 && isFirst) flags |= XMIT_HLINK_FIRST;
      if (protocol < 30) {
        if (entry.device === this.#linkDevice) flags |= XMIT_SAME_DEV;
        this.#linkDevice = entry.device;
      }
    }
    flags = this.#putNameFields(entry, flags);
    if (linked && protocol >= 30 && !isFirst) {
      this.#writer.putVarint(group);
      // The client copies all other fields from the first entry of the group in the same list.
      if (group >= listStart) {
        if (this.#hardLinks!.hasChanged) this.#forgetAttributes();
        return;
      }
    }
    this.#putFields(entry, flags);
    if (linked && protocol < 30) this.#putLinkIdentity(entry, flags);
    this.#putChecksum(entry);
  }

  /** The client goes on from attributes that we no longer know: nothing of the next entry may refer to them. */
  #forgetAttributes(): void {
    this.#mode = -1;
    this.#mtimeSec = Number.NaN;
    this.#atimeSec = Number.NaN;
    this.#uid = -1;
    this.#gid = -1;
    this.#rdevMajor = -1;
  }

  /** Ends a list (2-file-list.md 2.10). @param ioError bits of IOERR_* seen so far. */
  putEnd(ioError: number): void {
    const { varintFlags, safeFlist } = this.#layout;
    if (varintFlags) {
      this.#writer.putByte(0);
      this.#writer.putVarint(ioError);
    } else if (safeFlist && ioError !== 0) {
      this.#writer.putUint16(XMIT_EXTENDED | XMIT_IO_ERROR_END);
      this.#writer.putVarint(ioError);
    } else this.#writer.putByte(0);
  }

  /** Flags that need no look at name or links; updates the running attributes. */
  #attributeFlags(entry: FileEntry): number {
    const { protocol, atimes } = this.#layout;
    const isDirectory = isDirectoryMode(entry.mode);
    let flags = isDirectory ? contentFlags(entry.content, protocol) : 0;
    if (entry.mode === this.#mode) flags |= XMIT_SAME_MODE;
    this.#mode = entry.mode;
    flags |= this.#deviceFlags(entry) | this.#idFlags(entry);
    if (entry.mtimeSec === this.#mtimeSec) flags |= XMIT_SAME_TIME;
    this.#mtimeSec = entry.mtimeSec;
    if (protocol >= 31 && entry.mtimeNsec !== 0) flags |= XMIT_MOD_NSEC;
    if (atimes && !isDirectory) {
      // Protocol 27 has no room for this bit: the field always follows there.
      if (protocol > 27 && entry.atimeSec === this.#atimeSec) flags |= XMIT_SAME_ATIME;
      this.#atimeSec = entry.atimeSec;
    }
    return flags;
  }

  #deviceFlags(entry: FileEntry): number {
    const { protocol, devices, specials } = this.#layout;
    if (devices && isDeviceMode(entry.mode)) {
      if (protocol === 27) {
        const rdev = rdev27(entry);
        const same = rdev === this.#rdev27;
        this.#rdev27 = rdev;
        return same ? XMIT_SAME_RDEV : 0;
      }
      let flags = entry.rdevMajor === this.#rdevMajor ? XMIT_SAME_RDEV_MAJOR : 0;
      this.#rdevMajor = entry.rdevMajor;
      if (protocol < 30 && entry.rdevMinor <= 0xff) flags |= XMIT_RDEV_MINOR_8;
      return flags;
    }
    if (specials && isSpecialMode(entry.mode) && protocol < 31) {
      if (protocol === 27) return XMIT_SAME_RDEV;
      return protocol < 30 ? XMIT_SAME_RDEV_MAJOR | XMIT_RDEV_MINOR_8 : XMIT_SAME_RDEV_MAJOR;
    }
    this.#rdev27 = 0;
    return 0;
  }

  #idFlags(entry: FileEntry): number {
    const { owner, group, incRecurse } = this.#layout;
    let flags = 0;
    this.#userName = null;
    this.#groupName = null;
    const isFirstEntry = this.#nameLength === 0;
    if (!owner || (entry.uid === this.#uid && !isFirstEntry)) flags |= XMIT_SAME_UID;
    else {
      this.#uid = entry.uid;
      this.#userName = this.#users.firstMention(entry.uid);
      if (incRecurse && this.#userName !== null) flags |= XMIT_USER_NAME;
    }
    if (!group || (entry.gid === this.#gid && !isFirstEntry)) flags |= XMIT_SAME_GID;
    else {
      this.#gid = entry.gid;
      this.#groupName = this.#groups.firstMention(entry.gid);
      if (incRecurse && this.#groupName !== null) flags |= XMIT_GROUP_NAME;
    }
    return flags;
  }

  /** xflags and name; returns the flags as finally sent. */
  #putNameFields(entry: FileEntry, attributeFlags: number): number {
    const { protocol } = this.#layout;
    const { name } = entry;
    const shared = this.#sharedPrefix(name);
    const rest = name.length - shared;
    let flags = attributeFlags;
    if (shared > 0) flags |= XMIT_SAME_NAME;
    if (rest > 255) flags |= XMIT_LONG_NAME;
    flags = this.#putFlags(flags, isDirectoryMode(entry.mode));
    if (shared > 0) this.#writer.putByte(shared);
    if ((flags & XMIT_LONG_NAME) === 0) this.#writer.putByte(rest);
    else if (protocol >= 30) this.#writer.putVarint(rest);
    else this.#writer.putInt32(rest);
    this.#writer.putBytes(name.subarray(shared));
    name.copy(this.#name, shared, shared);
    this.#nameLength = name.length;
    return flags;
  }

  /** A flag word of zero would end the list: each layout has its own filler (2-file-list.md 2.1). */
  #putFlags(wanted: number, isDirectory: boolean): number {
    const { protocol, varintFlags } = this.#layout;
    let flags = wanted;
    if (varintFlags) {
      this.#writer.putVarint(flags === 0 ? XMIT_EXTENDED : flags);
      return flags;
    }
    if (protocol === 27) {
      if ((flags & 0xff) === 0) flags |= isDirectory ? XMIT_LONG_NAME : XMIT_TOP_DIR;
      this.#writer.putByte(flags);
      return flags;
    }
    if (flags === 0 && !isDirectory) flags |= XMIT_TOP_DIR;
    if (flags === 0 || flags > 0xff) this.#writer.putUint16(flags | XMIT_EXTENDED);
    else this.#writer.putByte(flags);
    return flags;
  }

  #sharedPrefix(name: Buffer): number {
    const max = Math.min(name.length, this.#nameLength, 255);
    let shared = 0;
    while (shared < max && name[shared] === this.#name[shared]) shared++;
    return shared;
  }

  #putFields(entry: FileEntry, flags: number): void {
    const writer = this.#writer;
    const { protocol, owner, group, atimes, links } = this.#layout;
    const modern = protocol >= 30;
    if (modern) writer.putVarlong(entry.sizeBytes, 3);
    else writer.putLongint(entry.sizeBytes);
    if (!(flags & XMIT_SAME_TIME)) {
      if (modern) writer.putVarlong(entry.mtimeSec, 4);
      // Times beyond 2106 wrap, as C rsync's do; times before 1970 become 1970.
      else writer.putInt32(Math.max(entry.mtimeSec, 0));
    }
    if (protocol >= 31 && flags & XMIT_MOD_NSEC) writer.putVarint(entry.mtimeNsec);
    if (!(flags & XMIT_SAME_MODE)) writer.putInt32(entry.mode);
    if (atimes && !isDirectoryMode(entry.mode) && !(flags & XMIT_SAME_ATIME)) writer.putVarlong(entry.atimeSec, 4);
    if (owner && !(flags & XMIT_SAME_UID)) this.#putId(entry.uid, this.#userName);
    if (group && !(flags & XMIT_SAME_GID)) this.#putId(entry.gid, this.#groupName);
    this.#putRdev(entry, flags);
    if (links && entry.linkTarget !== null) {
      if (modern) writer.putVarint(entry.linkTarget.length);
      else writer.putInt32(entry.linkTarget.length);
      writer.putBytes(entry.linkTarget);
    }
  }

  #putId(id: number, name: Buffer | null): void {
    if (this.#layout.protocol >= 30) this.#writer.putVarint(id);
    else this.#writer.putInt32(id);
    if (this.#layout.incRecurse && name !== null) putName(this.#writer, name);
  }

  #putRdev(entry: FileEntry, flags: number): void {
    const { protocol, devices, specials } = this.#layout;
    const isSpecial = specials && isSpecialMode(entry.mode) && protocol < 31;
    if (!isSpecial && !(devices && isDeviceMode(entry.mode))) return;
    const writer = this.#writer;
    if (protocol === 27) {
      if (!(flags & XMIT_SAME_RDEV)) writer.putInt32(rdev27(entry));
      return;
    }
    const minor = isSpecial ? 0 : entry.rdevMinor;
    if (!(flags & XMIT_SAME_RDEV_MAJOR)) {
      if (protocol >= 30) writer.putVarint(entry.rdevMajor);
      else writer.putInt32(entry.rdevMajor);
    }
    if (protocol >= 30) writer.putVarint(minor);
    else if (flags & XMIT_RDEV_MINOR_8) writer.putByte(minor);
    else writer.putInt32(minor);
  }

  /** Device plus one and inode: the grouping key below protocol 30. */
  #putLinkIdentity(entry: FileEntry, flags: number): void {
    const { protocol } = this.#layout;
    if (protocol === 27 || !(flags & XMIT_SAME_DEV)) putBigLongint(this.#writer, entry.device + 1n);
    putBigLongint(this.#writer, entry.inode);
  }

  #putChecksum(entry: FileEntry): void {
    const { checksumLength, protocol } = this.#layout;
    if (checksumLength === 0 || !(isRegularMode(entry.mode) || protocol < 28)) return;
    this.#writer.putBytes(entry.checksum ?? Buffer.alloc(checksumLength));
  }

  /** True when a link's target travels with its entry. */
  needsTarget(mode: number): boolean {
    return this.#layout.links && isLinkMode(mode);
  }
}

/** A longint of all 64 bits: inode numbers beyond 2^53 exist (overlay and network file systems), rounded ones would be linked. */
function putBigLongint(writer: FrameWriter, value: bigint): void {
  if (value >= 0n && value <= 0x7fffffffn) {
    writer.putInt32(Number(value));
    return;
  }
  writer.putInt32(-1);
  writer.putInt32(Number(BigInt.asIntN(32, value)));
  writer.putInt32(Number(BigInt.asIntN(32, value >> 32n)));
}

function contentFlags(content: number, protocol: number): number {
  if (protocol < 30) return content === CONTENT_TOP ? XMIT_TOP_DIR : 0;
  switch (content) {
    case CONTENT_TOP:
      return XMIT_TOP_DIR;
    case CONTENT_LISTED:
      return 0;
    case CONTENT_IMPLIED:
      return XMIT_TOP_DIR | XMIT_NO_CONTENT_DIR;
    case CONTENT_NONE:
      return XMIT_NO_CONTENT_DIR;
    default:
      return 0;
  }
}

/** Linux's 32-bit device number (2-file-list.md 2.5). */
function rdev27(entry: FileEntry): number {
  const { rdevMajor, rdevMinor } = entry;
  return (rdevMinor & 0xff) | ((rdevMajor & 0xfff) << 8) | ((rdevMinor & ~0xff) << 12);
}
