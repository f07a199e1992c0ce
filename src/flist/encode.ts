/**
 * FileEntry → bytes of the file list, for every protocol (2-file-list.md 2).
 *
 *   xflags [l1] l2 name [hlink index] size [mtime] [nsec] [mode] [atime] [uid [name]] [gid [name]] [rdev] [link] [dev ino] [checksum]
 *
 * ACLs and extended attributes follow each entry, abbreviated ones too: attributes.ts.
 */

import { encodeInt32, encodeLongint, encodeVarint, encodeVarlong } from '../wire/ints.ts';
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
  newEntry,
} from './entry.ts';
import type { HardLinks } from './hard-links.ts';
import { encodeIdName, type MentionedIds } from './ids.ts';

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

/** Room for everything from the flags to the device number, but the name: two names of owners have 256 bytes each. */
const MAX_FIXED_BYTES = 640;

/** Rests of names up to this length are copied by a loop, which beats the call into Buffer's own code. */
const SHORT_REST = 48;

const NO_GROUP = -1;

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
  /** The entry that is being written, its flags, what its name shares with the one before, and its group of hard links. */
  #entry: FileEntry = newEntry();
  #flags = 0;
  #shared = 0;
  #group = NO_GROUP;
  #isAbbreviated = false;

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
    this.#entry = entry;
    this.#group = linked && protocol >= 30 && !isFirst ? group : NO_GROUP;
    // The client copies all other fields from the first entry of the group in the same list.
    this.#isAbbreviated = this.#group >= listStart && this.#group !== NO_GROUP;
    flags = this.#nameFlags(entry, flags);
    this.#flags = flags;
    this.#writer.putWith(MAX_FIXED_BYTES + entry.name.length, this.#encode);
    if (this.#isAbbreviated) {
      if (this.#hardLinks!.hasChanged) this.#forgetAttributes();
      return;
    }
    if (this.#layout.links && entry.linkTarget !== null) this.#putLinkTarget(entry.linkTarget);
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

  /** The flags as finally sent; remembers how much of the name the client has already. */
  #nameFlags({ name, mode }: FileEntry, attributeFlags: number): number {
    const { protocol, varintFlags } = this.#layout;
    this.#shared = this.#sharedPrefix(name);
    let flags = attributeFlags;
    if (this.#shared > 0) flags |= XMIT_SAME_NAME;
    if (name.length - this.#shared > 255) flags |= XMIT_LONG_NAME;
    // A flag word of zero would end the list: each layout has its own filler (2-file-list.md 2.1).
    if (varintFlags) return flags;
    const isDirectory = isDirectoryMode(mode);
    if (protocol === 27) {
      if ((flags & 0xff) === 0) flags |= isDirectory ? XMIT_LONG_NAME : XMIT_TOP_DIR;
      return flags;
    }
    return flags === 0 && !isDirectory ? XMIT_TOP_DIR : flags;
  }

  #sharedPrefix(name: Buffer): number {
    const known = this.#name;
    const max = Math.min(name.length, this.#nameLength, 255);
    let shared = 0;
    while (shared < max && name[shared] === known[shared]) shared++;
    return shared;
  }

  /** Everything from the flags to the device number, of the entry that `put` set out. A field, so that no call makes a closure. */
  readonly #encode = (into: Buffer, offset: number): number => {
    let at = this.#encodeFlags(into, offset);
    at = this.#encodeName(into, at);
    if (this.#group !== NO_GROUP) at = encodeVarint(into, at, this.#group);
    return this.#isAbbreviated ? at : this.#encodeFields(into, at);
  };

  #encodeFlags(into: Buffer, offset: number): number {
    const { protocol, varintFlags } = this.#layout;
    const flags = this.#flags;
    if (varintFlags) return encodeVarint(into, offset, flags === 0 ? XMIT_EXTENDED : flags);
    if (protocol > 27 && (flags === 0 || flags > 0xff)) return into.writeUInt16LE(flags | XMIT_EXTENDED, offset);
    into[offset] = flags;
    return offset + 1;
  }

  #encodeName(into: Buffer, offset: number): number {
    const { name } = this.#entry;
    const shared = this.#shared;
    const rest = name.length - shared;
    let at = offset;
    if (shared > 0) into[at++] = shared;
    if ((this.#flags & XMIT_LONG_NAME) === 0) into[at++] = rest;
    else at = this.#encodeCount(into, at, rest);
    const known = this.#name;
    this.#nameLength = name.length;
    if (rest > SHORT_REST) {
      name.copy(known, shared, shared);
      return at + name.copy(into, at, shared);
    }
    for (let i = shared; i < name.length; i++) {
      const byte = name[i]!;
      known[i] = byte;
      into[at++] = byte;
    }
    return at;
  }

  #encodeFields(into: Buffer, offset: number): number {
    const { protocol, owner, group, atimes } = this.#layout;
    const entry = this.#entry;
    const flags = this.#flags;
    const modern = protocol >= 30;
    let at = modern ? encodeVarlong(into, offset, entry.sizeBytes, 3) : encodeLongint(into, offset, entry.sizeBytes);
    if (!(flags & XMIT_SAME_TIME)) {
      // Times beyond 2106 wrap, as C rsync's do; times before 1970 become 1970.
      at = modern ? encodeVarlong(into, at, entry.mtimeSec, 4) : encodeInt32(into, at, Math.max(entry.mtimeSec, 0));
    }
    if (protocol >= 31 && flags & XMIT_MOD_NSEC) at = encodeVarint(into, at, entry.mtimeNsec);
    if (!(flags & XMIT_SAME_MODE)) at = encodeInt32(into, at, entry.mode);
    if (atimes && !isDirectoryMode(entry.mode) && !(flags & XMIT_SAME_ATIME))
      at = encodeVarlong(into, at, entry.atimeSec, 4);
    if (owner && !(flags & XMIT_SAME_UID)) at = this.#encodeId(into, at, entry.uid, this.#userName);
    if (group && !(flags & XMIT_SAME_GID)) at = this.#encodeId(into, at, entry.gid, this.#groupName);
    return isDeviceMode(entry.mode) || isSpecialMode(entry.mode) ? this.#encodeRdev(into, at) : at;
  }

  #encodeId(into: Buffer, offset: number, id: number, name: Buffer | null): number {
    const at = this.#encodeCount(into, offset, id);
    return this.#layout.incRecurse && name !== null ? encodeIdName(into, at, name) : at;
  }

  /** A small number in the form of the protocol. */
  #encodeCount(into: Buffer, offset: number, value: number): number {
    return this.#layout.protocol >= 30 ? encodeVarint(into, offset, value) : encodeInt32(into, offset, value);
  }

  #encodeRdev(into: Buffer, offset: number): number {
    const { protocol, devices, specials } = this.#layout;
    const entry = this.#entry;
    const flags = this.#flags;
    const isSpecial = specials && isSpecialMode(entry.mode) && protocol < 31;
    if (!isSpecial && !(devices && isDeviceMode(entry.mode))) return offset;
    if (protocol === 27) return flags & XMIT_SAME_RDEV ? offset : encodeInt32(into, offset, rdev27(entry));
    const minor = isSpecial ? 0 : entry.rdevMinor;
    const at = flags & XMIT_SAME_RDEV_MAJOR ? offset : this.#encodeCount(into, offset, entry.rdevMajor);
    if (protocol >= 30) return encodeVarint(into, at, minor);
    if (!(flags & XMIT_RDEV_MINOR_8)) return encodeInt32(into, at, minor);
    into[at] = minor;
    return at + 1;
  }

  #putLinkTarget(target: Buffer): void {
    if (this.#layout.protocol >= 30) this.#writer.putVarint(target.length);
    else this.#writer.putInt32(target.length);
    this.#writer.putBytes(target);
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
