/** Arguments → first (or only) list, with everything below them when recursion is not incremental (2-file-list.md 1, 4.7). */

import { FileError, VanishedError } from '../errors.ts';
import { ENOENT, errnoText } from '../vfs/errno.ts';
import { directoryOf } from '../vfs/module-root.ts';
import type { DirectoryPath } from '../vfs/path.ts';
import { joinPath, splitPath } from '../vfs/path.ts';
import { IOERR_GENERAL } from '../wire/constants.ts';
import type { ListContext } from './context.ts';
import { CONTENT_IMPLIED, CONTENT_LISTED, CONTENT_NONE, CONTENT_TOP, type SourceDirectory } from './entry.ts';
import { type Examined, examine } from './examine.ts';
import type { FileList, ListedDirectory } from './file-list.ts';
import type { FoundArgument, RelativeTail } from './relative-tail.ts';
import type { ListScanner } from './scan.ts';
import type { SourceArgument } from './source-argument.ts';
import { failedText, line } from './texts.ts';

const DOT = Buffer.from('.');

/** Adds the entries of path arguments to one list. */
export class ArgumentLister {
  readonly #context: ListContext;
  readonly #scanner: ListScanner;
  /** The base of the argument before, since most arguments share one. */
  #base: SourceDirectory | null = null;
  /** Parents that the argument before implied. */
  #impliedBefore: readonly Buffer[] = [];
  /** The parent that was implied last, with incremental recursion. */
  #impliedLast: { list: FileList; base: SourceDirectory; directory: ListedDirectory } | null = null;
  #sentLeadingDot = false;

  constructor(context: ListContext, scanner: ListScanner) {
    this.#context = context;
    this.#scanner = scanner;
  }

  /** Sends an argument's entry, its implied parents and, as the options ask, its contents. */
  async add(list: FileList, argument: SourceArgument): Promise<void> {
    const found = this.#find(list, argument);
    if (found === null) return;
    const { options, incRecurse } = this.#context;
    if (options.relative) await this.#sendLeadingDot(list, found);
    if (options.relative && incRecurse) {
      await this.continueTails(list, [{ found, sentParents: 0 }]);
      return;
    }
    if (options.relative && !(await this.#sendParents(list, found))) return;
    await this.#sendFound(list, found);
  }

  /** Sends the next component of arguments whose parents were sent in earlier lists (2-file-list.md 4.4). */
  async continueTails(list: FileList, tails: readonly RelativeTail[]): Promise<void> {
    for (const { found, sentParents } of tails) {
      if (sentParents === found.parents.length) {
        await this.#sendFound(list, found);
        continue;
      }
      const wireName = found.parents.slice(0, sentParents + 1).reduce(joinPath);
      const last = this.#impliedLast;
      const isSent = last?.list === list && last.base === found.base && last.directory.wireName.equals(wireName);
      const directory = isSent ? last.directory : await this.#sendImplied(list, found.base, wireName);
      if (directory === null) continue;
      this.#impliedLast = { list, base: found.base, directory };
      directory.tails.push({ found, sentParents: sentParents + 1 });
    }
  }

  /** Looks an argument up; null, with everything said, when it is not to be sent. */
  #find(list: FileList, argument: SourceArgument): FoundArgument | null {
    const base = this.#enterBase(argument);
    if (base === null) return null;
    const parents = splitPath(argument.name).slice(0, -1);
    const source = parents.length === 0 ? base : this.#enterParents(argument, base, parents);
    if (source === null) return null;
    const name = argument.kind === 'dot' ? DOT : (splitPath(argument.name).at(-1) ?? DOT);
    const examined = this.#examineArgument(list, argument, source, name);
    if (examined === null) return null;
    const isDirectory = examined.stats.isDirectory();
    // Evaluated for named arguments only, and without the merge files of implied parents: the directory whose contents
    // were asked for is never filtered.
    if (argument.kind !== 'dot' && base.scope.hides(joinPath(source.wireName, name), isDirectory)) return null;
    const { options, messages, view } = this.#context;
    if (isDirectory && !options.recurse && !options.dirs) {
      messages.info(
        line(
          'skipping directory ',
          argument.kind === 'dot' ? argumentText(argument, view.isWholeSystem) : argument.name,
        ),
      );
      return null;
    }
    return { argument, base, parents, source, name, examined };
  }

  async #sendFound(list: FileList, { argument, source, name, examined }: FoundArgument): Promise<void> {
    const { options, incRecurse } = this.#context;
    if (!examined.stats.isDirectory()) {
      await this.#scanner.send(list, source, name, { examined, content: CONTENT_NONE });
      return;
    }
    const hasContent = options.recurse || argument.kind !== 'normal';
    const contents = hasContent ? this.#contentsOf(argument, source, name, examined) : null;
    const content = hasContent ? CONTENT_TOP : CONTENT_NONE;
    if (!(await this.#scanner.send(list, source, name, { examined, content }))) return;
    const waits = incRecurse && argument.kind !== 'dot';
    list.addDirectory({
      wireName: argument.kind === 'dot' ? DOT : joinPath(source.wireName, name),
      sources: waits && contents !== null ? [contents] : [],
      tails: [],
      number: -1,
    });
    if (contents !== null && !waits) await this.#sendBelow(list, contents);
  }

  /** The source for an argument's own contents; entries of a `dot` argument stand at the transfer root. */
  #contentsOf(argument: SourceArgument, source: SourceDirectory, name: Buffer, examined: Examined): SourceDirectory {
    const own = { ...source, argumentDevice: examined.stats.dev };
    if (argument.kind !== 'dot') return this.#scanner.enter(own, name, examined);
    return { ...own, scope: source.scope.enter(DOT), device: examined.stats.dev, inode: examined.stats.ino };
  }

  /** Contents of a directory and, unless sub-lists will follow, of everything below it, depth first. */
  async #sendBelow(list: FileList, contents: SourceDirectory): Promise<void> {
    const pending: ListedDirectory[] = (await this.#scanner.scan(list, contents)).reverse();
    if (this.#context.incRecurse) return;
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      for (const source of next.sources) {
        const found = await this.#scanner.scan(list, source);
        // One by one: a spread of a hundred thousand directories would overflow the stack.
        for (const directory of found.reverse()) pending.push(directory);
      }
    }
  }

  /** The directory where the argument's transfer starts; null, with the message sent, when there is none. */
  #enterBase(argument: SourceArgument): SourceDirectory | null {
    if (this.#base?.modulePath.equals(argument.base)) return this.#base;
    const { view, module, messages, filter } = this.#context;
    try {
      const directory = this.#resolveDirectory(view.root, argument.base, argument.base);
      const stats = view.statDirectory(directory);
      this.#base = {
        directory,
        wireName: Buffer.alloc(0),
        modulePath: argument.base,
        scope: filter.rootScope(argument.base, (path) => this.#readMerge(path)),
        argumentDevice: stats.dev,
        device: stats.dev,
        inode: stats.ino,
        parent: null,
      };
      this.#impliedBefore = [];
      return this.#base;
    } catch (thrown) {
      if (!(thrown instanceof FileError)) throw thrown;
      if (argument.kind === 'dot' && this.#context.options.relative) this.#reportMissing(argument.base, thrown);
      else {
        messages.fileError(failedText('change_dir', argument.base, module.name, thrown.message));
        if (!(thrown instanceof VanishedError)) messages.ioError |= IOERR_GENERAL;
      }
      return null;
    }
  }

  /** The real directory of an argument's parents below its base. */
  #enterParents(argument: SourceArgument, base: SourceDirectory, parents: Buffer[]): SourceDirectory | null {
    const wireName = parents.reduce(joinPath);
    const modulePath = joinPath(base.modulePath, wireName);
    try {
      const directory = this.#resolveDirectory(base.directory, wireName, modulePath);
      const stats = this.#context.view.statDirectory(directory);
      let { scope } = base;
      for (let i = 1; i <= parents.length; i++) scope = scope.enter(parents.slice(0, i).reduce(joinPath));
      return { ...base, directory, wireName, modulePath, scope, device: stats.dev, inode: stats.ino, parent: base };
    } catch (thrown) {
      if (!(thrown instanceof FileError)) throw thrown;
      this.#reportMissing(joinPath(base.modulePath, argument.name), thrown);
      return null;
    }
  }

  /** Follows links: a path that the client spelled out may lead through them, inside the module. @throws FileError */
  #resolveDirectory(from: DirectoryPath, path: Buffer, modulePath: Buffer): DirectoryPath {
    const { view, module } = this.#context;
    if (module.filter.hidesWithParents(modulePath, true)) throw missingError();
    if (path.length === 0) return from;
    const directory = directoryOf(view.resolve(from, path, true));
    // SECURITY: a link in the argument must not lead around the module's rules.
    if (module.filter.hidesWithParents(directory.toBuffer(), true)) throw missingError();
    // As chdir: a directory that may not be searched is an error of its own, before any name in it is looked up.
    view.lstat(directory, DOT);
    return directory;
  }

  #examineArgument(list: FileList, argument: SourceArgument, source: SourceDirectory, name: Buffer): Examined | null {
    const { view, module, options } = this.#context;
    const path = argument.kind === 'dot' ? source.modulePath : joinPath(source.modulePath, name);
    try {
      if (argument.kind === 'dot') {
        const stats = view.statDirectory(source.directory);
        return { stats, linkTarget: null, isFollowed: false, directory: source.directory };
      }
      const followsDirectoryLinks = options.copyDirlinks || argument.kind !== 'normal';
      const examined = examine(this.#context, source, name, { wireName: argument.name, followsDirectoryLinks });
      if (module.filter.hidesWithParents(path, examined.stats.isDirectory())) throw missingError();
      return examined;
    } catch (thrown) {
      if (!(thrown instanceof FileError)) throw thrown;
      if (thrown.errno === ENOENT && options.deleteMissingArgs && argument.kind !== 'dot') {
        this.#scanner.sendMissing(list, source, name);
      } else this.#reportMissing(path, thrown);
      return null;
    }
  }

  /** What the options leave to say of an argument that is not there (2-file-list.md 1.1, steps 1 and 2). */
  #reportMissing(path: Buffer, error: FileError): void {
    const { options, messages, module } = this.#context;
    const isExpected = options.ignoreMissingArgs || options.deleteMissingArgs;
    if (error.errno === ENOENT && isExpected) return;
    if (error.errno !== ENOENT) messages.ioError |= IOERR_GENERAL;
    messages.fileError(failedText('link_stat', path, module.name, error.message));
  }

  /** `./` in front of an argument asks for the transfer root itself, once. */
  async #sendLeadingDot(list: FileList, { argument, base }: FoundArgument): Promise<void> {
    if (!argument.leadingDot || this.#sentLeadingDot || this.#omitsImplied) return;
    this.#sentLeadingDot = true;
    await this.#sendImplied(list, base, DOT);
  }

  /**
   * Sends the directories above a relative name, except those that the argument before has already sent (2-file-list.md 1.4).
   * @returns false, with the message sent, when one cannot be: nothing may stand below it then.
   */
  async #sendParents(list: FileList, { base, parents }: FoundArgument): Promise<boolean> {
    if (this.#omitsImplied) return true;
    let shared = 0;
    while (shared < parents.length && this.#impliedBefore[shared]?.equals(parents[shared]!)) shared++;
    for (let i = shared; i < parents.length; i++) {
      const sent = await this.#sendImplied(list, base, parents.slice(0, i + 1).reduce(joinPath));
      this.#impliedBefore = parents.slice(0, sent === null ? i : i + 1);
      if (sent === null) return false;
    }
    this.#impliedBefore = parents;
    return true;
  }

  /** From protocol 30 the client ignores implied directories by itself. */
  get #omitsImplied(): boolean {
    return this.#context.protocol < 30 && !this.#context.options.impliedDirs;
  }

  /** @returns null when its attributes cannot be read, with the message sent. */
  async #sendImplied(list: FileList, base: SourceDirectory, wireName: Buffer): Promise<ListedDirectory | null> {
    const { view, protocol } = this.#context;
    const modulePath = joinPath(base.modulePath, wireName);
    const directory = wireName.equals(DOT)
      ? base.directory
      : this.#resolveDirectory(base.directory, wireName, modulePath);
    // The name may lead through links, which are followed for implied directories.
    const examined: Examined = { stats: view.statDirectory(directory), linkTarget: null, isFollowed: true, directory };
    const content = protocol >= 30 ? CONTENT_IMPLIED : CONTENT_LISTED;
    if (!(await this.#scanner.send(list, base, wireName, { examined, content }))) return null;
    const listed: ListedDirectory = { wireName, sources: [], tails: [], number: -1 };
    list.addDirectory(listed);
    return listed;
  }

  /** Reads a merge file for the filter engine: only what the module shows, never through a link (B-11). */
  #readMerge(path: Buffer): Buffer | null {
    const { view, module } = this.#context;
    if (module.filter.hidesWithParents(path, false)) return null;
    const place = unlessMissing(() => view.locateFile(path));
    return place === null ? null : view.readMergeFile(place.directory, place.name);
  }
}

function unlessMissing<T>(look: () => T): T | null {
  try {
    return look();
  } catch (thrown) {
    if (thrown instanceof FileError) return null;
    throw thrown;
  }
}

function argumentText({ base }: SourceArgument, isWholeSystem: boolean): Buffer {
  if (base.length === 0 && !isWholeSystem) return DOT;
  return Buffer.concat([Buffer.from(isWholeSystem ? '/' : ''), base, Buffer.from('/.')]);
}

function missingError(): VanishedError {
  return new VanishedError(errnoText(ENOENT));
}
