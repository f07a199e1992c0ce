/** Reads the small files that a configuration names: bounded, regular files only, never through a final link. */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ConfigError } from '../errors.ts';
import type { FileRecord, RecordedFile } from './file-record.ts';

/** Largest configuration, secrets or pattern file: far above honest ones, far below what hurts. */
export const MAX_FILE_BYTES = 1024 * 1024;

interface ReadRules {
  readonly maxBytes: number;
  /** Whether the last component may be a symbolic link. */
  readonly followLink?: boolean;
  /** Further demands; throws ConfigError. */
  readonly check?: (owner: FileOwner) => void;
  /** Of LoadContext. */
  readonly record?: FileRecord | undefined;
}

/** What decides whom a file can be trusted to. */
export type FileOwner = Pick<Stats, 'mode' | 'uid'>;

/** The reason of a failed system call in words that name no path twice. */
function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  switch (code) {
    case 'ENOENT':
      return 'no such file';
    case 'ELOOP':
      return 'is a symbolic link; name the file itself';
    case 'EACCES':
      return 'permission denied';
    default:
      return code ?? String(error);
  }
}

function readAtMost(fd: number, maxBytes: number): Buffer {
  const buffer = Buffer.alloc(maxBytes + 1);
  let length = 0;
  for (let count = -1; count !== 0 && length < buffer.length; length += count) {
    count = readSync(fd, buffer, length, buffer.length - length, null);
  }
  return Buffer.from(buffer.subarray(0, length));
}

/**
 * The whole content of a regular file of at most `maxBytes`.
 * @throws ConfigError without place: missing, unreadable, a link, not regular, too large, or what `check` says.
 */
export function readSmallFile(path: string, rules: ReadRules): Buffer {
  const { record, check } = rules;
  const file = record === undefined ? readFromDisk(path, rules) : record.file(path, () => readFromDisk(path, rules));
  check?.(file);
  return file.content;
}

function readFromDisk(path: string, rules: ReadRules): RecordedFile {
  // SECURITY: a planted link or FIFO must neither redirect nor hang the start (CVE-2026-53802, CVE-2026-53803).
  const noFollow = rules.followLink === true ? 0 : constants.O_NOFOLLOW;
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | noFollow);
  } catch (error) {
    throw new ConfigError(`"${path}": ${reasonOf(error)}`, { cause: error });
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) {
      throw new ConfigError(`"${path}" is not a regular file`);
    }
    if (stats.nlink === 0) {
      // What a sandbox shows is the file that had this name when it was set up.
      throw new ConfigError(`"${path}" was replaced by another file since the start: restart, or rewrite it in place`);
    }
    const content = readAtMost(fd, rules.maxBytes);
    if (content.length > rules.maxBytes) {
      throw new ConfigError(`"${path}" is larger than ${rules.maxBytes} bytes`);
    }
    return { content, mode: stats.mode, uid: stats.uid };
  } finally {
    closeSync(fd);
  }
}

/** Throws ConfigError without place unless `path` is absolute and an existing directory. */
export function checkDirectory(path: string): void {
  if (!path.startsWith('/')) {
    throw new ConfigError(`"${path}" is not allowed: expected an absolute path`);
  }
  if (path.split('/').includes('..')) {
    throw new ConfigError(`"${path}" is not allowed: expected a path without ".."`);
  }
  let isDirectory: boolean;
  try {
    isDirectory = statSync(path).isDirectory();
  } catch (error) {
    throw new ConfigError(`"${path}": ${reasonOf(error)}; expected an existing directory`, { cause: error });
  }
  if (!isDirectory) {
    throw new ConfigError(`"${path}" is not a directory`);
  }
}

/**
 * What must be visible for `path` to be opened again and again while a link at its end is moved from one directory to
 * another: the link's own directory and that of its target. The path itself where it is no link.
 */
export function directoriesOf(path: string): string[] {
  try {
    if (!lstatSync(path).isSymbolicLink()) return [path];
    const [holder, targets] = [dirname(path), dirname(realpathSync(path))];
    return targets === holder || targets.startsWith(`${holder}/`) ? [holder] : [holder, targets];
  } catch {
    return [path];
  }
}

/** Whether a link stands somewhere on the way to `path`, or whether nobody can tell. */
export function isThroughLinks(path: string): boolean {
  try {
    return realpathSync(path) !== resolve(path);
  } catch {
    return true;
  }
}

/** Decodes UTF-8 strictly; throws ConfigError without place. */
export function decodeUtf8(path: string, content: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch (error) {
    throw new ConfigError(`"${path}" is not valid UTF-8`, { cause: error });
  }
}

/**
 * The message of the day: printable UTF-8 that cannot be taken for a line of the protocol.
 * @throws ConfigError without place.
 */
export function readMotd(path: string, maxBytes: number, record?: FileRecord): Buffer {
  const content = readSmallFile(path, { maxBytes, record });
  decodeUtf8(path, content)
    .split('\n')
    .forEach((line, index) => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this looks for
      if (/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(line.replace(/\r$/, ''))) {
        throw new ConfigError(`"${path}" line ${index + 1} has a control character`);
      }
      // SECURITY: such a line would end the client's greeting in our place (1-session.md 2.3).
      if (/^(@RSYNCD:|@ERROR)/.test(line)) {
        throw new ConfigError(`"${path}" line ${index + 1} begins like a line of the protocol (@RSYNCD:, @ERROR)`);
      }
    });
  return content;
}
