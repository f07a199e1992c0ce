/**
 * POSIX ACLs: the kernel's form → the list's (2-file-list.md 6.1); attributes.ts calls it.
 *
 *   kernel: version:u32 = 2 { tag:u16 permissions:u16 id:u32 }
 *   list:   index+1:varint, or 0 flags:u8 [user_obj] [group_obj] [mask] [other] [count { id perms<<2|isUser<<1|named [len name] }]
 */

import { FileError } from '../errors.ts';
import { EINVAL, errnoText } from '../vfs/errno.ts';
import type { FrameWriter } from '../wire/writer.ts';
import { type MentionedIds, putName } from './ids.ts';
import type { LiteralCache } from './literal-cache.ts';

const VERSION = 2;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;

/** Tags of the kernel's entries. */
const TAG_USER_OBJ = 0x01;
const TAG_USER = 0x02;
const TAG_GROUP_OBJ = 0x04;
const TAG_GROUP = 0x08;
const TAG_MASK = 0x10;
const TAG_OTHER = 0x20;

/** Bits of the flag byte, in the order of the fields. */
const HAS_USER_OBJ = 1;
const HAS_GROUP_OBJ = 2;
const HAS_MASK = 4;
const HAS_OTHER = 8;
const HAS_NAMED = 16;

/** Low bits of a named entry's second number. */
const ID_IS_USER = 2;
const NAME_FOLLOWS = 1;

/** One ACL. Permissions are 0…7; null where the part is absent. */
export interface Acl {
  readonly userObj: number | null;
  readonly groupObj: number | null;
  readonly mask: number | null;
  readonly other: number | null;
  /** Users by ascending id, then groups by ascending id. */
  readonly named: readonly NamedEntry[];
}

export interface NamedEntry {
  readonly isUser: boolean;
  readonly id: number;
  readonly permissions: number;
}

/** No ACL beyond the mode, and no default ACL. */
export const EMPTY_ACL: Acl = { userObj: null, groupObj: null, mask: null, other: null, named: [] };

/** Reads the value of a `system.posix_acl_…` attribute. @throws FileError (EINVAL) for anything but version 2. */
export function decodeAcl(bytes: Buffer): Acl {
  const isWhole = bytes.length >= HEADER_BYTES && (bytes.length - HEADER_BYTES) % ENTRY_BYTES === 0;
  if (!isWhole || bytes.readUInt32LE(0) !== VERSION) throw invalidAcl();
  const parts = new Map<number, number>();
  const named: NamedEntry[] = [];
  for (let at = HEADER_BYTES; at < bytes.length; at += ENTRY_BYTES) {
    const tag = bytes.readUInt16LE(at);
    const permissions = bytes.readUInt16LE(at + 2) & 7;
    if (tag === TAG_USER || tag === TAG_GROUP) {
      named.push({ isUser: tag === TAG_USER, id: bytes.readUInt32LE(at + 4), permissions });
    } else parts.set(tag, permissions);
  }
  const part = (tag: number): number | null => parts.get(tag) ?? null;
  return {
    userObj: part(TAG_USER_OBJ),
    groupObj: part(TAG_GROUP_OBJ),
    mask: part(TAG_MASK),
    other: part(TAG_OTHER),
    named: named.sort(byKindAndId),
  };
}

/** Leaves out of an access ACL what its entry's mode says already. @param mode as it is on disk, whatever is sent of it. */
export function reduceAccessAcl(acl: Acl, mode: number): Acl {
  const groupBits = (mode >> 3) & 7;
  const { mask, named } = acl;
  if (mask === null) return { ...EMPTY_ACL, named };
  return {
    userObj: null,
    groupObj: acl.groupObj === groupBits ? null : acl.groupObj,
    mask: named.length > 0 && mask === groupBits ? null : mask,
    other: null,
    named,
  };
}

/** Writes the ACLs of one kind (access or default) of a session. */
export class AclEncoder {
  readonly #writer: FrameWriter;
  readonly #users: MentionedIds;
  readonly #groups: MentionedIds;
  readonly #attachesNames: boolean;
  readonly #cache: LiteralCache;

  /** @param attachesNames incremental recursion: names stand with the first mention of an id, not in lists of their own. */
  constructor(
    writer: FrameWriter,
    ids: { readonly users: MentionedIds; readonly groups: MentionedIds },
    attachesNames: boolean,
    cache: LiteralCache,
  ) {
    this.#writer = writer;
    this.#users = ids.users;
    this.#groups = ids.groups;
    this.#attachesNames = attachesNames;
    this.#cache = cache;
  }

  put(acl: Acl): void {
    const index = this.#cache.indexOf(identityOf(acl));
    this.#writer.putVarint(index + 1);
    if (index < 0) this.#putLiteral(acl);
  }

  #putLiteral(acl: Acl): void {
    const { named } = acl;
    this.#writer.putByte(flagsOf(acl));
    for (const permissions of [acl.userObj, acl.groupObj, acl.mask, acl.other]) {
      if (permissions !== null) this.#writer.putVarint(permissions);
    }
    if (named.length === 0) return;
    this.#writer.putVarint(named.length);
    for (const entry of named) this.#putNamed(entry);
  }

  #putNamed({ isUser, id, permissions }: NamedEntry): void {
    // Also without names here: the id has to appear in the lists behind the file list.
    const name = (isUser ? this.#users : this.#groups).firstMention(id);
    const attached = this.#attachesNames ? name : null;
    this.#writer.putVarint(id);
    this.#writer.putVarint((permissions << 2) | (isUser ? ID_IS_USER : 0) | (attached === null ? 0 : NAME_FOLLOWS));
    if (attached !== null) putName(this.#writer, attached);
  }
}

function flagsOf(acl: Acl): number {
  return (
    (acl.userObj === null ? 0 : HAS_USER_OBJ) |
    (acl.groupObj === null ? 0 : HAS_GROUP_OBJ) |
    (acl.mask === null ? 0 : HAS_MASK) |
    (acl.other === null ? 0 : HAS_OTHER) |
    (acl.named.length === 0 ? 0 : HAS_NAMED)
  );
}

/** Equal for equal ACLs: flags, parts, and five bytes per named entry. */
function identityOf(acl: Acl): Buffer {
  const bytes = Buffer.allocUnsafe(5 + 5 * acl.named.length);
  bytes[0] = flagsOf(acl);
  [acl.userObj, acl.groupObj, acl.mask, acl.other].forEach((permissions, index) => {
    bytes[1 + index] = permissions ?? 0;
  });
  acl.named.forEach(({ isUser, id, permissions }, index) => {
    const at = bytes.writeUInt32LE(id, 5 + 5 * index);
    bytes[at] = (permissions << 1) | (isUser ? 1 : 0);
  });
  return bytes;
}

function byKindAndId(a: NamedEntry, b: NamedEntry): number {
  return a.isUser === b.isUser ? a.id - b.id : Number(b.isUser) - Number(a.isUser);
}

function invalidAcl(): FileError {
  return new FileError(errnoText(EINVAL), EINVAL);
}
