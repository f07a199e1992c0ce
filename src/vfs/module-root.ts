/**
 * The only code that opens anything inside a module. Each directory is opened relative to a held descriptor, component by
 * component, as `/proc/self/fd/<fd>/<name>` with O_NOFOLLOW: a component that is swapped for a link after it was listed gives
 * an error, and no name leads out of the module (security.md, introduction). Where the mount itself follows no link, a plain
 * path does the same.
 */

import {
  accessSync,
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
} from 'node:fs';
import { Bug, FileError, LimitError } from '../errors.ts';
import { limitHits } from '../limit-hits.ts';
import type { Limits } from '../limits.ts';
import { DIRECTORY_FLAGS, OWN_DESCRIPTORS } from './descriptors.ts';
import { EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, errnoText, systemError, toFileError } from './errno.ts';
import { OpenFile } from './open-file.ts';
import { DirectoryPath, isDotDot, joinPath, splitPath } from './path.ts';
import { type Place, PlainPaths, placeOf } from './plain-paths.ts';
import { readDirectory } from './read-directory.ts';
import type { XattrCalls } from './xattrs.ts';

/** Attributes with nanoseconds and 64-bit numbers. */
export type FileStats = Pick<
  BigIntStats,
  | ('dev' | 'ino' | 'mode' | 'nlink' | 'uid' | 'gid' | 'rdev' | 'size' | 'atimeNs' | 'mtimeNs' | 'ctimeNs')
  | ('isDirectory' | 'isSymbolicLink' | 'isFile')
>;

const SLASH = 0x2f;
const NUL = 0;

/** What Node would write as two bytes, or what has no place in a name. */
const NOT_PLAIN = /[^ -.0-~]/;

const LSTAT = { bigint: true, throwIfNoEntry: false } as const;

// SECURITY: O_NONBLOCK, or a fifo put in a file's place would block the daemon in open (CVE-2024-12747).
const FILE_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Directories whose descriptor one session keeps: 512 sessions stay below 4096 descriptors. */
const HELD_DIRECTORIES = 4;

/** A held directory; its entries are named by `/proc/<pid>/fd/<fd>/`. */
interface HeldDirectory extends Place {
  readonly fd: number;
}

/** What a view is of. */
export interface ModuleRoot {
  /** Descriptor of the root directory; stays the caller's. */
  readonly fd: number;
  /** Where the root lies, when the kernel follows no link there (linkless-roots.ts); else null. */
  readonly linklessPath: string | null;
  /** Only for the root `/`, where a user's own paths are read with the user's own rights. */
  readonly isWholeSystem?: boolean;
}

/** Where a path leads once the links in it are followed inside the module. */
export interface ResolvedPath {
  /** Real directory that holds the entry; the entry is `directory` itself when `name` is null (the module root). */
  readonly directory: DirectoryPath;
  readonly name: Buffer | null;
}

/** Path from the module root of what a path resolved to; empty for the root itself. */
export function resolvedPath({ directory, name }: ResolvedPath): Buffer {
  return name === null ? directory.toBuffer() : joinPath(directory.toBuffer(), name);
}

/** The directory that a path resolved to. */
export function directoryOf({ directory, name }: ResolvedPath): DirectoryPath {
  return name === null ? directory : directory.child(name);
}

/** One session's view of a module: everything is read through here. */
export class ModuleView {
  readonly root = DirectoryPath.root();
  /** True when the root is the file system's: absolute links are followed then, and nothing is outside. */
  readonly isWholeSystem: boolean;
  readonly #rootFd: number;
  readonly #limits: Limits;
  readonly #xattrs: XattrCalls | null;
  readonly #plain: PlainPaths | null;
  readonly #held: HeldDirectory[] = [];
  #closed = false;

  /** @param xattrs null where the module does not serve extended attributes: then nobody may ask for them. */
  constructor(root: ModuleRoot, limits: Limits, xattrs: XattrCalls | null = null) {
    this.isWholeSystem = root.isWholeSystem ?? false;
    this.#rootFd = root.fd;
    this.#plain = root.linklessPath === null ? null : new PlainPaths(root.linklessPath, limits.depth);
    this.#limits = limits;
    this.#xattrs = xattrs;
  }

  /**
   * Attributes of an entry, of the link itself when it is one.
   * @param name as bytes, or as `readdir` gives it.
   * @throws FileError, VanishedError
   */
  lstat(directory: DirectoryPath, name: Buffer | string): FileStats {
    let stats: FileStats | undefined;
    try {
      stats = lstatSync(this.#entryPath(directory, name), LSTAT);
    } catch (thrown) {
      throw toFileError(thrown);
    }
    // An error of Node itself costs five times the call, and clients may ask for a million names that are not there.
    if (stats === undefined) throw systemError(ENOENT);
    return stats;
  }

  /** Attributes of a directory itself. @throws FileError */
  statDirectory(directory: DirectoryPath): FileStats {
    return fstatSync(this.#hold(directory).fd, { bigint: true });
  }

  /** Attributes of what a path resolved to. @throws FileError */
  statResolved(resolved: ResolvedPath): FileStats {
    return resolved.name === null
      ? this.statDirectory(resolved.directory)
      : this.lstat(resolved.directory, resolved.name);
  }

  /** Target of a link. @throws FileError */
  readlink(directory: DirectoryPath, name: Buffer): Buffer {
    try {
      return readlinkSync(this.#entryPath(directory, name), 'buffer');
    } catch (thrown) {
      throw toFileError(thrown);
    }
  }

  /** Names of an entry's extended attributes, of the link's own when it is one. @throws FileError, VanishedError */
  xattrNames(directory: DirectoryPath, name: Buffer): Buffer[] {
    return this.#xattrCalls.names(this.#bytePath(directory, name));
  }

  /** Value of an extended attribute, null when there is none. @throws FileError, VanishedError */
  xattr(directory: DirectoryPath, name: Buffer, attribute: Buffer): Buffer | null {
    return this.#xattrCalls.value(this.#bytePath(directory, name), attribute, this.#limits.xattrValueBytes);
  }

  get #xattrCalls(): XattrCalls {
    if (this.#xattrs === null) throw new Bug('extended attributes of a module that does not serve them');
    return this.#xattrs;
  }

  /**
   * Names in a directory, in its own order, without `.` and `..`.
   * @returns latin1 strings, one character for each byte: a Buffer for each of a million names costs far more.
   * @throws FileError
   */
  async readdir(directory: DirectoryPath): Promise<string[]> {
    const held = this.#hold(directory);
    try {
      return await readDirectory(held.fd);
    } catch (thrown) {
      throw toFileError(thrown);
    }
  }

  /**
   * Opens a regular file for reading; the caller closes it.
   * @throws FileError when it is no regular file or cannot be opened, VanishedError when it is gone.
   */
  openFile(directory: DirectoryPath, name: Buffer | string, noatime = false): OpenFile {
    const fd = this.#openLeaf(directory, name, noatime);
    try {
      // Not the bigint form: this runs once per file sent, and a size needs no nanoseconds.
      const stats = fstatSync(fd);
      if (!stats.isFile()) throw new FileError(errnoText(EINVAL), EINVAL);
      return new OpenFile(fd, stats.size);
    } catch (thrown) {
      closeSync(fd);
      throw toFileError(thrown);
    }
  }

  /**
   * Content of a file of filter rules, or null when it is missing, unreadable or no regular file.
   * @throws LimitError `mergeFileBytes`
   */
  readMergeFile(directory: DirectoryPath, name: Buffer): Buffer | null {
    try {
      const file = this.openFile(directory, name);
      try {
        if (file.sizeBytes > this.#limits.mergeFileBytes) {
          throw new LimitError('mergeFileBytes', 'a file named by the client is too large');
        }
        const bytes = Buffer.allocUnsafe(file.sizeBytes);
        return bytes.subarray(0, file.readSync(bytes, 0));
      } finally {
        file.close();
      }
    } catch (thrown) {
      if (thrown instanceof FileError) return null;
      throw thrown;
    }
  }

  /** True when this process may read the entry (module option `ignore_nonreadable`). */
  isReadable(directory: DirectoryPath, name: Buffer): boolean {
    try {
      accessSync(this.#entryPath(directory, name), constants.R_OK);
      return true;
    } catch {
      return false;
    }
  }

  /**
   * Follows the links in a path, as far as they stay inside the module.
   * @param from where a relative path starts.
   * @param followLast whether a link in the last place is followed too.
   * @throws FileError: ENOENT for an absolute link or one that climbs out of the module, ELOOP after too many links.
   */
  resolve(from: DirectoryPath, path: Buffer, followLast: boolean): ResolvedPath {
    const pending = splitPath(path).reverse();
    let directory = from;
    let hops = 0;
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (isDotDot(name)) {
        directory = this.#parentOf(directory);
        continue;
      }
      const isLast = pending.length === 0;
      if (isLast && !followLast) return { directory, name };
      const stats = this.lstat(directory, name);
      if (stats.isSymbolicLink()) {
        if (++hops > this.#limits.linkHops) {
          limitHits.count('linkHops');
          throw new FileError(errnoText(ELOOP), ELOOP);
        }
        const target = this.#linkTarget(directory, name);
        if (target[0] === SLASH) directory = this.root;
        pending.push(...splitPath(target).reverse());
      } else if (isLast) return { directory, name };
      else if (stats.isDirectory()) directory = directory.child(name);
      else throw new FileError(errnoText(ENOTDIR), ENOTDIR);
    }
    return directory.parent === null
      ? { directory, name: null }
      : { directory: directory.parent, name: directory.name };
  }

  /**
   * Where a file lies that the client named for us to read, a merge file or a list of names; null for the root itself.
   * Links on the way are followed in the whole system only; elsewhere the file behind one cannot be opened.
   * @throws FileError
   */
  locateFile(path: Buffer): { readonly directory: DirectoryPath; readonly name: Buffer } | null {
    if (this.isWholeSystem) {
      const { directory, name } = this.resolve(this.root, path, true);
      return name === null ? null : { directory, name };
    }
    const components = splitPath(path);
    const name = components.pop();
    if (name === undefined) return null;
    return { directory: components.reduce((above, component) => above.child(component), this.root), name };
  }

  close(): void {
    this.#closed = true;
    for (const held of this.#held.splice(0)) closeSync(held.fd);
  }

  #linkTarget(directory: DirectoryPath, name: Buffer): Buffer {
    const target = this.readlink(directory, name);
    // SECURITY: an absolute target would name the host's files, not the module's (CVE-2007-6199).
    if (target.length === 0 || (target[0] === SLASH && !this.isWholeSystem)) throw outsideError();
    return target;
  }

  #parentOf(directory: DirectoryPath): DirectoryPath {
    if (directory.parent !== null) return directory.parent;
    // SECURITY: `..` pops a real directory that was walked into; above the module root there is nothing (CVE-2026-53797).
    if (!this.isWholeSystem) throw outsideError();
    return directory;
  }

  #openLeaf(directory: DirectoryPath, name: Buffer | string, noatime: boolean): number {
    const path = this.#entryPath(directory, name);
    if (noatime) {
      try {
        return openSync(path, FILE_FLAGS | constants.O_NOATIME);
      } catch {
        // Only the owner may ask for O_NOATIME: anyone else reads without it.
      }
    }
    try {
      return openSync(path, FILE_FLAGS);
    } catch (thrown) {
      throw toFileError(thrown);
    }
  }

  /** How entries of a directory are named: by a plain path where no link is followed, else through a held descriptor. */
  #place(directory: DirectoryPath): Place {
    return this.#plain?.placeOf(directory) ?? this.#hold(directory);
  }

  /**
   * The path of an entry; valid until the next call for the same directory.
   * @param name bytes, or a latin1 string.
   */
  #entryPath(directory: DirectoryPath, name: Buffer | string): Buffer | string {
    if (typeof name !== 'string') return this.#bytePath(directory, name);
    // Node passes a string on faster than bytes, which it checks and copies.
    const { prefix } = this.#place(directory);
    if (prefix === null || name === '..' || NOT_PLAIN.test(name)) {
      return this.#bytePath(directory, Buffer.from(name, 'latin1'));
    }
    return prefix + name;
  }

  #bytePath(directory: DirectoryPath, name: Buffer): Buffer {
    // SECURITY: callers pass single components; the kernel would take `..` and `a/b` as well and leave the directory.
    if (isDotDot(name) || name.includes(SLASH) || name.includes(NUL)) throw outsideError();
    const { scratch, prefixLength } = this.#place(directory);
    if (name.length > scratch.length - prefixLength) throw new FileError(errnoText(ENAMETOOLONG), ENAMETOOLONG);
    name.copy(scratch, prefixLength);
    return scratch.subarray(0, prefixLength + name.length);
  }

  /** The directory's descriptor, opened through its parents when it is not in the cache. */
  #hold(path: DirectoryPath): HeldDirectory {
    const last = this.#held.length - 1;
    for (let i = last; i >= 0; i--) {
      const held = this.#held[i]!;
      if (held.path !== path) continue;
      if (i !== last) {
        this.#held.splice(i, 1);
        this.#held.push(held);
      }
      return held;
    }
    return this.#open(path);
  }

  #open(path: DirectoryPath): HeldDirectory {
    if (this.#closed) throw new Bug('module view used after close');
    // SECURITY: each level costs an open; a tree deeper than this is listed as unreadable (B-13d).
    if (path.depth > this.#limits.depth) {
      limitHits.count('depth');
      throw new FileError(errnoText(ENAMETOOLONG), ENAMETOOLONG);
    }
    let fd: number;
    try {
      const at = path.parent === null ? `${OWN_DESCRIPTORS}${this.#rootFd}/.` : this.#entryPath(path.parent, path.name);
      fd = openSync(at, DIRECTORY_FLAGS);
    } catch (thrown) {
      throw toFileError(thrown);
    }
    const held = { ...placeOf(path, `${OWN_DESCRIPTORS}${fd}/`), fd };
    this.#held.push(held);
    if (this.#held.length > HELD_DIRECTORIES) closeSync(this.#held.shift()!.fd);
    return held;
  }
}

function outsideError(): FileError {
  return new FileError(errnoText(ENOENT), ENOENT);
}
