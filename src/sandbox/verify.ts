/**
 * Refuse-if-writable (security.md D.3): can this process, as it is now, change anything in a module?
 * main.ts asks once the sandbox stands, before the daemon serves.
 */

import {
  accessSync,
  closeSync,
  constants,
  type Dir,
  type Dirent,
  lstatSync,
  opendirSync,
  openSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import { SandboxError } from '../errors.ts';
import { escapeControls } from '../observe/escape.ts';
import { monotonicMs } from '../shared.ts';
import { type Ownership, permissionText, whyWritable } from './permissions.ts';

export interface VerifyOptions {
  /** Entries looked at per module. */
  entries: number;
  /** Time per module in milliseconds. */
  ms: number;
  /**
   * Count only what a real attempt proves: for a process that Landlock keeps from writing. Otherwise our own files count
   * although their mode says no (their owner may chmod them), and so does what access(2) allows but no attempt can show.
   */
  onlyProven: boolean;
}

/** 200 to 400 ms with warm caches. Ten times as much delays the start; a tenth misses the second level of a mirror. */
export const DEFAULT_VERIFY_OPTIONS: Readonly<VerifyOptions> = Object.freeze({
  entries: 10_000,
  ms: 1000,
  onlyProven: false,
});

/** Something in a module that we could change. */
export interface WritableFinding {
  /** Printable path. */
  readonly path: string;
  /** Why, in words, with mode and owner, and what to do about it. */
  readonly reason: string;
}

/** What a search without a finding is worth. */
export interface VerifySummary {
  readonly module: string;
  /** Entries that were tried. */
  readonly entries: number;
  /** False when the budget ended the search. */
  readonly complete: boolean;
}

/** Entries of one directory before its siblings get their turn: one huge directory must not hide the others. */
const ENTRIES_PER_TURN = 1000;

/** `__O_TMPFILE`, the same on x86-64 and arm64; O_DIRECTORY, the other half of O_TMPFILE, is not. */
const TMPFILE_BIT = 0o20000000;

/** Makes a file without a name, gone when closed. The kernel looks at the mount before the mode, so EROFS is reliable. */
const OPEN_TMPFILE = TMPFILE_BIT | constants.O_DIRECTORY | constants.O_RDWR | constants.O_NOFOLLOW;

/** Without O_TRUNC this changes neither content nor times. */
const OPEN_WRITE = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

const SLASH = Buffer.from('/');

const ADVICE =
  'give the daemon a read-only view (BindReadOnlyPaths=, a :ro volume, mount -o ro), take the permission away, or run it as another user';

/**
 * Refuses to serve modules that this process could change.
 * @returns how far each module was searched.
 * @throws SandboxError naming each such module, with path, reason and remedy.
 */
export function assertReadOnly(
  modules: readonly { name: string; path: Buffer | string }[],
  options: Partial<VerifyOptions> = {},
): VerifySummary[] {
  const problems: string[] = [];
  const summaries = modules.map(({ name, path }) => {
    const search = new Search({ ...DEFAULT_VERIFY_OPTIONS, ...options });
    const finding = search.run(path);
    if (finding !== null) {
      problems.push(`module ${JSON.stringify(name)}: ${finding.path} is writable: ${finding.reason}`);
    }
    return { module: name, entries: search.entries, complete: search.complete };
  });
  if (problems.length > 0) throw new SandboxError(problems.join('\n'));
  return summaries;
}

/**
 * Looks for something below `path`, or `path` itself, that this process could write: breadth first, within a budget,
 * across mounts, never through symbolic links. Devices, sockets and FIFOs do not count: writing to them changes no file.
 *
 * Nothing is changed: directories are tried with O_TMPFILE, files are opened for writing and closed.
 * @throws SandboxError when `path` itself cannot be looked at.
 */
export function findWritable(path: Buffer | string, options: Partial<VerifyOptions> = {}): WritableFinding | null {
  return new Search({ ...DEFAULT_VERIFY_OPTIONS, ...options }).run(path);
}

/** A directory that waits for its turn. */
interface PendingDirectory {
  path: Buffer;
  /** Its mount is read-only, so owning a file in it means nothing. */
  readOnly: boolean;
  /** Open when an earlier turn did not reach its end. */
  handle: Dir | null;
}

class Search {
  entries = 0;
  complete = false;
  readonly #options: VerifyOptions;
  readonly #deadlineMs: number;
  readonly #euid = process.geteuid?.();
  readonly #queue: PendingDirectory[] = [];

  constructor(options: VerifyOptions) {
    this.#options = options;
    this.#deadlineMs = monotonicMs() + options.ms;
  }

  run(path: Buffer | string): WritableFinding | null {
    const root = realRoot(path);
    try {
      let finding = this.#visitEntry(root, false);
      let next = 0;
      while (finding === null && next < this.#queue.length && !this.#spent) {
        const directory = this.#queue[next++]!;
        finding = this.#visitDirectory(directory);
      }
      this.complete = finding === null && next === this.#queue.length && this.#queue.every(isDone);
      return finding;
    } finally {
      for (const { handle } of this.#queue) handle?.closeSync();
    }
  }

  get #spent(): boolean {
    return this.entries >= this.#options.entries || monotonicMs() >= this.#deadlineMs;
  }

  /** One turn of a directory. */
  #visitDirectory(directory: PendingDirectory): WritableFinding | null {
    const handle = directory.handle ?? openDirectory(directory.path);
    // What we may not list we may still enter, but only by guessing names.
    if (handle === null) return null;
    directory.handle = handle;
    for (let turn = 0; turn < ENTRIES_PER_TURN; turn++) {
      if (this.#spent) return null;
      const entry = nextEntry(handle);
      if (entry === null) {
        handle.closeSync();
        directory.handle = null;
        return null;
      }
      const name = entry.name as unknown as Buffer;
      const finding = this.#visitEntry(Buffer.concat([directory.path, SLASH, name]), directory.readOnly);
      if (finding !== null) return finding;
    }
    this.#queue.push({ ...directory });
    directory.handle = null;
    return null;
  }

  #visitEntry(path: Buffer, parentIsReadOnly: boolean): WritableFinding | null {
    this.entries++;
    const stat = statOf(path);
    if (stat === null || !(stat.isDirectory() || stat.isFile())) return null;
    const access = this.#access(path, stat.isDirectory());
    // A file that its mode protects says EACCES before EROFS. One that is a mount of its own, writable and ours, in a
    // read-only directory is missed here.
    const readOnly = access === 'read-only' || (stat.isFile() && parentIsReadOnly);
    if (stat.isDirectory()) this.#queue.push({ path, readOnly, handle: null });
    if (access === 'writable') return findingOf(path, whyWritable(stat), stat);
    if (access === 'denied' && !readOnly && !this.#options.onlyProven && stat.uid === this.#euid) {
      return findingOf(path, 'this process owns it and could chmod it', stat);
    }
    return null;
  }

  #access(path: Buffer, isDirectory: boolean): Access {
    const access = tryOpen(path, isDirectory ? OPEN_TMPFILE : OPEN_WRITE);
    if (access !== 'unknown') return access;
    return this.#options.onlyProven ? 'denied' : mayWrite(path);
  }
}

function realRoot(path: Buffer | string): Buffer {
  try {
    return realpathSync(path, { encoding: 'buffer' });
  } catch (error) {
    throw new SandboxError(`cannot look at ${escapeControls(path.toString())}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function findingOf(path: Buffer, why: string, stat: Ownership): WritableFinding {
  return { path: escapeControls(path.toString()), reason: `${why} (${permissionText(stat)}); ${ADVICE}` };
}

/** `denied` is what a chmod would change, `never` what it would not. */
type Access = 'writable' | 'read-only' | 'denied' | 'never';

function tryOpen(path: Buffer, flags: number): Access | 'unknown' {
  if (flags === OPEN_TMPFILE && process.platform !== 'linux') return 'unknown';
  try {
    closeSync(openSync(path, flags, 0o600));
    return 'writable';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EROFS') return 'read-only';
    if (code === 'EACCES') return 'denied';
    // Immutable, denied by seccomp, or gone since it was listed.
    if (code === 'EPERM' || code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return 'never';
    // No O_TMPFILE in this file system, a running program, a full disk: none of them means no.
    return 'unknown';
  }
}

/** access(2) judges the real user, and knows nothing of Landlock; the daemon's real and effective user are the same. */
function mayWrite(path: Buffer): Access {
  try {
    accessSync(path, constants.W_OK);
    return 'writable';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EROFS' ? 'read-only' : 'denied';
  }
}

function statOf(path: Buffer): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    // Gone, or in a directory that we may list but not enter: nothing that we could write.
    return null;
  }
}

/** Null at the end, and where the kernel lets us open a directory but not read it: some of /proc, a broken disk. */
function nextEntry(handle: Dir): Dirent | null {
  try {
    return handle.readSync();
  } catch {
    return null;
  }
}

const isDone = ({ handle }: PendingDirectory): boolean => handle === null;

function openDirectory(path: Buffer): Dir | null {
  try {
    // @types/node does not know that names can be Buffers here as well.
    return opendirSync(path as unknown as string, { encoding: 'buffer' as BufferEncoding });
  } catch {
    return null;
  }
}
