/** Names → entries of the current list: one directory at a time (2-file-list.md 1.2, 1.3). */

import { FileError, LimitError, VanishedError } from '../errors.ts';
import { limitHits } from '../limit-hits.ts';
import type { FileStats } from '../vfs/module-root.ts';
import { joinPath } from '../vfs/path.ts';
import { IOERR_GENERAL, IOERR_VANISHED } from '../wire/constants.ts';
import type { AttributeLists, EntryAttributes } from './attributes.ts';
import { digestOf } from './content-sum.ts';
import { breathe, type ListContext, needsBreath } from './context.ts';
import type { EntryEncoder } from './encode.ts';
import {
  CONTENT_LISTED,
  CONTENT_NONE,
  type FileEntry,
  fillFromStats,
  fillMissing,
  isDirectoryMode,
  isLinkMode,
  isRegularMode,
  newEntry,
  type SourceDirectory,
  writeLatin1,
} from './entry.ts';
import { DanglingLink, type Examined, examine, refuseLinkLoop } from './examine.ts';
import type { FileList, ListedDirectory } from './file-list.ts';
import type { StoredEntries } from './stored-entries.ts';
import { failedText, line, quotedPath, unexaminedText, vanishedText } from './texts.ts';

/** What `munge symlinks` puts before a stored link's target. */
const MUNGED_PREFIX = Buffer.from('/rsyncd-munged/');

/** Names between two looks at the clock and the output: far less than a time slice, and 4 KiB of list. */
const NAMES_PER_LOOK = 32;

/** What a name of a directory came to: a sub-directory, something else or nothing, or the promise of either. */
type Scanned = ListedDirectory | null | Promise<ListedDirectory | null>;

const SLASH = 0x2f;
const EMPTY = Buffer.alloc(0);

/** Puts entries into lists; keeps the totals of the session. */
export class ListScanner {
  readonly #context: ListContext;
  readonly #encoder: EntryEncoder;
  readonly #attributes: AttributeLists | null;
  readonly #entry: FileEntry = newEntry();
  readonly #wireNames = new WireNames();
  /** Names of the list being built, kept only where several sources may repeat one. */
  #seenNames: Set<string> | null = null;
  /** Entries sent in the session. */
  entriesSent = 0;
  /** Sum of the lengths of regular files and links (3-transfer.md 8.2). */
  totalSizeBytes = 0;

  /** @param attributes null without `-A` and `-X`. */
  constructor(context: ListContext, encoder: EntryEncoder, attributes: AttributeLists | null) {
    this.#context = context;
    this.#encoder = encoder;
    this.#attributes = attributes;
  }

  /** Prepares for a list whose entries may repeat names: repeated files are kept out of hard-link groups (2-file-list.md 2.6). */
  startList(mayRepeatNames: boolean): void {
    this.#seenNames = mayRepeatNames ? new Set() : null;
  }

  /**
   * Sends the entries of a directory.
   * @returns its sub-directories, in order of transmission.
   */
  async scan(list: FileList, source: SourceDirectory): Promise<ListedDirectory[]> {
    const { directories } = this.#context;
    const stored = directories === null ? null : await directories.read(source.directory);
    const names = stored === null ? await this.#names(source) : null;
    const count = stored?.count ?? names!.length;
    const found: ListedDirectory[] = [];
    // SECURITY: 10 000 rules make one name as costly as a hundred.
    const namesPerLook = this.#mayLeaveOut(source) ? 1 : NAMES_PER_LOOK;
    for (let i = 0; i < count; i++) {
      if (i % namesPerLook === 0 && needsBreath(this.#context)) await breathe(this.#context);
      const listed =
        stored === null ? this.#scanName(list, source, names![i]!) : this.#scanStored(list, source, stored, i);
      // Almost every name is a file whose entry is out already: awaiting would cost as much as encoding it.
      const directory = listed instanceof Promise ? await listed : listed;
      if (directory !== null) found.push(directory);
    }
    return found;
  }

  /**
   * Sends one entry that passed every filter.
   * @param content CONTENT_* for directories.
   * @returns false, with the message sent, when its attributes could not be read: it is left out, and all below it.
   */
  async send(
    list: FileList,
    source: SourceDirectory,
    name: Buffer,
    what: { examined: Examined; content: number },
  ): Promise<boolean> {
    const { examined } = what;
    let attributes: EntryAttributes | null = null;
    if (this.#attributes !== null) {
      attributes = await this.#attributes.read(source, name, examined);
      if (attributes === null) return false;
    }
    fillFromStats(this.#entry, examined.stats);
    this.#finishEntry(wireNameOf(source, name), examined.linkTarget, what.content);
    this.#entry.attributes = attributes;
    if (this.#context.listSum !== null && isRegularMode(this.#entry.mode)) {
      this.#entry.checksum = await digestOf(this.#context, source, name, examined);
    }
    this.#put(list, source, name, examined.isFollowed);
    return true;
  }

  /** Whether an entry needs more than its stats. */
  get #readsContent(): boolean {
    return this.#attributes !== null || this.#context.listSum !== null;
  }

  /** Completes the entry whose stats were filled in. */
  #finishEntry(wireName: Buffer, linkTarget: Buffer | null, content: number): void {
    const entry = this.#entry;
    entry.name = wireName;
    entry.content = content;
    const { outgoingChmod } = this.#context.module;
    if (outgoingChmod !== null && !isLinkMode(entry.mode)) entry.mode = outgoingChmod(entry.mode);
    if (linkTarget !== null && this.#encoder.needsTarget(entry.mode)) entry.linkTarget = this.#shownTarget(linkTarget);
  }

  /** Sends the placeholder of a missing argument (--delete-missing-args). */
  sendMissing(list: FileList, source: SourceDirectory, name: Buffer): void {
    fillMissing(this.#entry, wireNameOf(source, name));
    this.#put(list, source, name, false);
  }

  /** The source that a directory's contents come from, its merge files read. */
  enter(source: SourceDirectory, name: Buffer, examined: Examined): SourceDirectory {
    if (examined.isFollowed) refuseLinkLoop(source, examined.stats);
    const wireName = wireNameOf(source, name);
    return {
      directory: examined.directory!,
      wireName,
      modulePath: joinPath(source.modulePath, name),
      scope: source.scope.enter(wireName),
      argumentDevice: source.argumentDevice,
      device: examined.stats.dev,
      inode: examined.stats.ino,
      parent: source,
    };
  }

  #put(list: FileList, source: SourceDirectory, name: Buffer | string, isFollowed: boolean): void {
    const entry = this.#entry;
    if (++this.entriesSent > this.#context.limits.entries) throw new LimitError('entries', 'file list too long');
    if (isRegularMode(entry.mode) || isLinkMode(entry.mode)) this.totalSizeBytes += entry.sizeBytes;
    if (this.#seenNames !== null && !isDirectoryMode(entry.mode)) {
      const key = entry.name.toString('latin1');
      if (this.#seenNames.has(key)) entry.linkCount = 1;
      else this.#seenNames.add(key);
    }
    this.#encoder.put(entry, list.start, list.count);
    list.push(entry, source, name, isFollowed);
    if (this.#attributes !== null) list.noteXattrs(this.#attributes.put(entry));
  }

  async #names(source: SourceDirectory): Promise<readonly string[]> {
    try {
      return await this.#context.view.readdir(source.directory);
    } catch (thrown) {
      if (!(thrown instanceof FileError)) throw thrown;
      const { messages, module } = this.#context;
      messages.fileError(failedText('opendir', source.modulePath, module.name, thrown.message));
      messages.ioError |= IOERR_GENERAL;
      return [];
    }
  }

  #scanName(list: FileList, source: SourceDirectory, name: string): Scanned {
    const excess = this.#excessOf(source, name);
    if (excess > 0) return this.#reportLongName(source, bytesOf(name), excess);
    const stats = this.#statsOf(source, name);
    if (stats === null) return null;
    fillFromStats(this.#entry, stats);
    if (!isRegularMode(this.#entry.mode) || this.#readsContent) {
      return this.#scanOther(list, source, bytesOf(name), { stats, linkTarget: null });
    }
    this.#putPlain(list, source, name);
    return null;
  }

  /** The same for an entry that somebody has looked at. */
  #scanStored(list: FileList, source: SourceDirectory, stored: StoredEntries, i: number): Scanned {
    const name = stored.name(i);
    const excess = this.#excessOf(source, name);
    if (excess > 0) return this.#reportLongName(source, bytesOf(name), excess);
    if (!stored.isKnown(i)) return this.#scanName(list, source, name);
    if (!stored.isRegular(i) || this.#readsContent) {
      return this.#scanOther(list, source, bytesOf(name), { stats: stored.stats(i), linkTarget: stored.linkTarget(i) });
    }
    stored.fill(i, this.#entry);
    this.#putPlain(list, source, name);
    return null;
  }

  /** Almost every name is a plain file: its way is short and allocates next to nothing. Its attributes were filled in. */
  #putPlain(list: FileList, source: SourceDirectory, name: string): void {
    if (this.#mayLeaveOut(source) && this.#isLeftOut(source, bytesOf(name), this.#entry.mode)) return;
    this.#finishEntry(this.#wireNames.of(source, name), null, CONTENT_NONE);
    this.#put(list, source, name, false);
  }

  /** An entry that is no plain file, or of which more is sent than its stats. @param known linkTarget: null unless it is known. */
  #scanOther(
    list: FileList,
    source: SourceDirectory,
    name: Buffer,
    known: { readonly stats: FileStats; readonly linkTarget: Buffer | null },
  ): Scanned {
    const examined = this.#examineListed(source, name, known);
    if (examined === null || this.#isLeftOut(source, name, Number(examined.stats.mode))) return null;
    if (examined.stats.isDirectory()) return this.#scanDirectory(list, source, name, examined);
    if (this.#readsContent) return this.send(list, source, name, { examined, content: CONTENT_NONE }).then(() => null);
    fillFromStats(this.#entry, examined.stats);
    this.#finishEntry(wireNameOf(source, name), examined.linkTarget, CONTENT_NONE);
    this.#put(list, source, name, examined.isFollowed);
    return null;
  }

  async #scanDirectory(
    list: FileList,
    source: SourceDirectory,
    name: Buffer,
    examined: Examined,
  ): Promise<ListedDirectory | null> {
    const { options } = this.#context;
    const isMountPoint = options.oneFileSystem > 0 && options.recurse && examined.stats.dev !== source.argumentDevice;
    if (isMountPoint && options.oneFileSystem > 1) return null;
    const descends = options.recurse && !isMountPoint;
    const sources = descends ? this.#enterListed(source, name, examined) : [];
    if (sources === null) return null;
    const content = descends ? CONTENT_LISTED : CONTENT_NONE;
    if (!(await this.send(list, source, name, { examined, content }))) return null;
    const listed: ListedDirectory = { wireName: wireNameOf(source, name), sources, tails: [], number: -1 };
    list.addDirectory(listed);
    return listed;
  }

  #enterListed(source: SourceDirectory, name: Buffer, examined: Examined): SourceDirectory[] | null {
    try {
      return [this.enter(source, name, examined)];
    } catch (thrown) {
      if (!(thrown instanceof FileError)) throw thrown;
      this.#reportStat(source, name, thrown);
      return null;
    }
  }

  /** Attributes of a name found in a directory; null when it is to be left out, with the message sent. */
  #statsOf(source: SourceDirectory, name: string): FileStats | null {
    try {
      return this.#context.view.lstat(source.directory, name);
    } catch (thrown) {
      return this.#leaveOut(source, bytesOf(name), thrown);
    }
  }

  /** The same, links followed where the options ask for it. */
  #examineListed(
    source: SourceDirectory,
    name: Buffer,
    known: { readonly stats: FileStats; readonly linkTarget: Buffer | null },
  ): Examined | null {
    try {
      const followsDirectoryLinks = this.#context.options.copyDirlinks;
      return examine(this.#context, source, name, {
        wireName: wireNameOf(source, name),
        followsDirectoryLinks,
        ...known,
      });
    } catch (thrown) {
      return this.#leaveOut(source, name, thrown);
    }
  }

  #leaveOut(source: SourceDirectory, name: Buffer, thrown: unknown): null {
    if (!(thrown instanceof FileError)) throw thrown;
    if (!this.#isHidden(source, name, false)) this.#reportUnexamined(source, name, thrown);
    return null;
  }

  #reportUnexamined(source: SourceDirectory, name: Buffer, error: FileError): void {
    const { messages, module } = this.#context;
    const path = joinPath(source.modulePath, name);
    if (error instanceof DanglingLink) {
      messages.fileError(line('symlink has no referent: ', quotedPath(path, module.name)));
      messages.ioError |= IOERR_GENERAL;
    } else if (error instanceof VanishedError) {
      messages.vanished(vanishedText(path, module.name));
      messages.ioError |= IOERR_VANISHED;
    } else this.#reportStat(source, name, error);
  }

  #reportStat(source: SourceDirectory, name: Buffer, error: FileError): void {
    const { messages, module } = this.#context;
    messages.fileError(unexaminedText(joinPath(source.modulePath, name), module.name, error.message));
    messages.ioError |= IOERR_GENERAL;
  }

  /** Bytes that an entry's name in the list is too long by; at most 0 when it is not. */
  #excessOf(source: SourceDirectory, name: string): number {
    return this.#wireNames.lengthOf(source, name) - this.#context.limits.pathBytes;
  }

  #reportLongName(source: SourceDirectory, name: Buffer, over: number): null {
    const { messages } = this.#context;
    if (this.#isHidden(source, name, false)) return null;
    limitHits.count('pathBytes');
    messages.fileError(line(`filename overflows max-path len by ${over}: `, wireNameOf(source, name)));
    messages.ioError |= IOERR_GENERAL;
    return null;
  }

  /** The module's rules first: what they hide does not exist for the client's. */
  #isHidden(source: SourceDirectory, name: Buffer, isDirectory: boolean): boolean {
    const { filter } = this.#context.module;
    if (!filter.isEmpty && filter.hides(joinPath(source.modulePath, name), isDirectory)) return true;
    return !source.scope.isEmpty && source.scope.hides(wireNameOf(source, name), isDirectory);
  }

  /** Whether `#isLeftOut` can be true for any entry of a source. */
  #mayLeaveOut(source: SourceDirectory): boolean {
    const { filter, ignoreNonreadable } = this.#context.module;
    return !filter.isEmpty || !source.scope.isEmpty || ignoreNonreadable;
  }

  #isLeftOut(source: SourceDirectory, name: Buffer, mode: number): boolean {
    if (this.#isHidden(source, name, isDirectoryMode(mode))) return true;
    const { module, view } = this.#context;
    return module.ignoreNonreadable && !isLinkMode(mode) && !view.isReadable(source.directory, name);
  }

  #shownTarget(target: Buffer): Buffer {
    const { mungeSymlinks } = this.#context.module;
    const isMunged =
      mungeSymlinks &&
      target.length > MUNGED_PREFIX.length &&
      target.subarray(0, MUNGED_PREFIX.length).equals(MUNGED_PREFIX);
    return isMunged ? target.subarray(MUNGED_PREFIX.length) : target;
  }
}

/** Makes the names of the list from those of a directory, in memory that is used again for the next. */
class WireNames {
  readonly #bytes = Buffer.alloc(4096);
  #prefix: Buffer = EMPTY;
  #prefixLength = 0;

  lengthOf({ wireName }: SourceDirectory, name: string): number {
    return wireName.length === 0 ? name.length : wireName.length + 1 + name.length;
  }

  /** @param name latin1; the whole name has at most 4096 bytes. */
  of({ wireName }: SourceDirectory, name: string): Buffer {
    const bytes = this.#bytes;
    if (this.#prefix !== wireName) {
      this.#prefix = wireName;
      this.#prefixLength = wireName.copy(bytes);
      if (wireName.length > 0) bytes[this.#prefixLength++] = SLASH;
    }
    return bytes.subarray(0, writeLatin1(bytes, this.#prefixLength, name));
  }
}

function bytesOf(name: string): Buffer {
  return Buffer.from(name, 'latin1');
}

/** Name in the list of an entry of a source. */
export function wireNameOf(source: SourceDirectory, name: Buffer): Buffer {
  return joinPath(source.wireName, name);
}
