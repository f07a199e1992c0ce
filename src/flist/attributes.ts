/** What `-A` and `-X` add to an entry of the list: scan.ts has it read before the entry is sent and written behind it (2-file-list.md 6). */

import { FileError, VanishedError } from '../errors.ts';
import { joinPath } from '../vfs/path.ts';
import { IOERR_GENERAL, IOERR_VANISHED } from '../wire/constants.ts';
import { type Acl, AclEncoder, decodeAcl, EMPTY_ACL, reduceAccessAcl } from './acl.ts';
import { breathe, type ListContext } from './context.ts';
import {
  type FileEntry,
  isDeviceMode,
  isDirectoryMode,
  isLinkMode,
  isSpecialMode,
  type SourceDirectory,
} from './entry.ts';
import type { Examined } from './examine.ts';
import type { MentionedIds } from './ids.ts';
import { LiteralCache } from './literal-cache.ts';
import { locateListed, locateName } from './locate.ts';
import { line, quotedPath, vanishedText } from './texts.ts';
import {
  type AbbreviatedNames,
  chosenNames,
  NO_XATTRS,
  XattrEncoder,
  type XattrList,
  XattrListBuilder,
} from './xattrs.ts';

const ACCESS_ACL = Buffer.from('system.posix_acl_access');
const DEFAULT_ACL = Buffer.from('system.posix_acl_default');

/** ACLs and extended attributes of one entry. */
export interface EntryAttributes {
  readonly access: Acl;
  /** For directories. */
  readonly defaults: Acl;
  readonly xattrs: XattrList;
}

/** An entry without any, or one whose kind the client did not ask for. */
const NO_ATTRIBUTES: EntryAttributes = { access: EMPTY_ACL, defaults: EMPTY_ACL, xattrs: NO_XATTRS };

/** Reads and writes the attributes of one session's entries. */
export class AttributeLists {
  readonly #context: ListContext;
  readonly #access: AclEncoder;
  readonly #defaults: AclEncoder;
  readonly #xattrs: XattrEncoder;

  constructor(context: ListContext, ids: { readonly users: MentionedIds; readonly groups: MentionedIds }) {
    const { writer, limits, incRecurse } = context;
    this.#context = context;
    this.#access = new AclEncoder(writer, ids, incRecurse, new LiteralCache(limits.xattrLists));
    this.#defaults = new AclEncoder(writer, ids, incRecurse, new LiteralCache(limits.xattrLists));
    this.#xattrs = new XattrEncoder(writer, limits);
  }

  /** Attributes of an entry that passed every filter; null, with the message sent, when they cannot be read. */
  async read(source: SourceDirectory, name: Buffer, examined: Examined): Promise<EntryAttributes | null> {
    const mode = Number(examined.stats.mode);
    if (!this.#isWanted(mode)) return NO_ATTRIBUTES;
    const reading = { call: 'lstat', attribute: null as Buffer | null };
    try {
      const xattrs = await this.#readXattrs(source, name, reading);
      return { ...this.#readAcls(source, name, examined, reading), xattrs };
    } catch (thrown) {
      if (!(thrown instanceof FileError)) throw thrown;
      this.#report(joinPath(source.modulePath, name), reading, thrown);
      return null;
    }
  }

  /**
   * Writes an entry's attributes, also those of an abbreviated hard link.
   * @returns what `abbreviated` wants; 0 when no value was left out.
   */
  put({ mode, attributes }: FileEntry): number {
    const { options } = this.#context;
    const { access, defaults, xattrs } = attributes ?? NO_ATTRIBUTES;
    if (options.acls && !isLinkMode(mode)) {
      this.#access.put(access);
      if (isDirectoryMode(mode)) this.#defaults.put(defaults);
    }
    return options.xattrs > 0 ? this.#xattrs.put(xattrs) : 0;
  }

  /** The attributes whose values were left out of a list, by what `put` returned for it. */
  abbreviated(id: number): AbbreviatedNames {
    return this.#xattrs.abbreviated(id);
  }

  /** Kinds of entries that the client will not make carry empty lists, as C rsync's do. */
  #isWanted(mode: number): boolean {
    const { links, devices, specials } = this.#context.options;
    if (isLinkMode(mode)) return links;
    if (isDeviceMode(mode)) return devices;
    return !isSpecialMode(mode) || specials;
  }

  #readAcls(
    source: SourceDirectory,
    name: Buffer,
    { stats, isFollowed }: Examined,
    reading: Reading,
  ): Pick<EntryAttributes, 'access' | 'defaults'> {
    const isDirectory = stats.isDirectory();
    if (!this.#context.options.acls || stats.isSymbolicLink()) return NO_ATTRIBUTES;
    const place = locateListed(this.#context, source, name, { isFollowed, isDirectory });
    const read = (attribute: Buffer): Acl => {
      reading.call = 'get_acl: lgetxattr';
      reading.attribute = attribute;
      const value = this.#context.view.xattr(place.directory, place.name, attribute);
      return value === null ? EMPTY_ACL : decodeAcl(value);
    };
    // Compared with the mode on disk: what `outgoing_chmod` makes of it comes later, as in C rsync.
    const access = reduceAccessAcl(read(ACCESS_ACL), Number(stats.mode));
    return { access, defaults: isDirectory ? read(DEFAULT_ACL) : EMPTY_ACL };
  }

  async #readXattrs(source: SourceDirectory, entryName: Buffer, reading: Reading): Promise<XattrList> {
    const { view, module, limits, options } = this.#context;
    if (options.xattrs === 0) return NO_XATTRS;
    reading.call = 'get_xattr_names: llistxattr';
    const place = locateName(this.#context, source, entryName);
    const names = view.xattrNames(place.directory, place.name);
    if (names.length === 0) return NO_XATTRS;
    const list = new XattrListBuilder(limits);
    reading.call = 'get_xattr_data: lgetxattr';
    const choice = { level: options.xattrs, scope: source.scope, filter: module.filter };
    for (const name of chosenNames(names, choice)) {
      reading.attribute = name;
      const value = view.xattr(place.directory, place.name, name);
      // Null: removed since the names were read.
      if (value !== null) list.add(name, value);
      await breathe(this.#context);
    }
    return list.finish();
  }

  #report(path: Buffer, { call, attribute }: Reading, error: FileError): void {
    const { messages, module } = this.#context;
    if (error instanceof VanishedError) {
      messages.vanished(vanishedText(path, module.name));
      messages.ioError |= IOERR_VANISHED;
      return;
    }
    messages.fileError(attributeText(call, quotedPath(path, module.name), attribute, error));
    messages.ioError |= IOERR_GENERAL;
  }
}

/** What was being read when an error came. */
interface Reading {
  call: string;
  attribute: Buffer | null;
}

/** `rsync: [sender] <call>(<path>,"<attribute>",0) failed: <reason>`, C rsync's words. */
export function attributeText(call: string, path: Buffer, attribute: Buffer | null, error: FileError): Buffer {
  const what = attribute === null ? [',1024'] : [',"', attribute, '",0'];
  return line(`rsync: [sender] ${call}(`, path, ...what, `) failed: ${error.message}`);
}
