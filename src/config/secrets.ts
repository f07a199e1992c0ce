/** Reads secrets files, lines of `user:password`, under strict permissions; module.ts asks for them once at load. */
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { ConfigError } from '../errors.ts';
import type { LoadContext } from './config.ts';
import type { FileRecord } from './file-record.ts';
import { type FileOwner, MAX_FILE_BYTES, readSmallFile } from './files.ts';

/** Owner may read and write, group may read. */
const ALLOWED_MODE = 0o640;

/**
 * Where a file with secrets is: a credential of its base name wins, else it is relative to `baseDir`. So one configuration
 * serves with the service manager, which passes what the daemon itself may not read, and without.
 */
export function secretsPath(file: string, baseDir: string, context: LoadContext): string {
  if (context.credentialsDirectory !== null) {
    const credential = join(context.credentialsDirectory, basename(file));
    if (context.record?.exists(credential, existsSync) ?? existsSync(credential)) {
      return credential;
    }
  }
  return resolve(baseDir, file);
}

/** The rule for files with secrets: root's or our own, 0640 or stricter. @throws ConfigError without place. */
export function checkSecret(path: string, stats: FileOwner, uid: number): void {
  const mode = stats.mode & 0o7777;
  // SECURITY: whoever can read or replace the file can log in as its users.
  if ((mode & ~ALLOWED_MODE) !== 0) {
    const shown = mode.toString(8).padStart(4, '0');
    throw new ConfigError(`"${path}" has mode ${shown}: expected 0640 or stricter (chmod 0640)`);
  }
  if (stats.uid !== 0 && stats.uid !== uid) {
    throw new ConfigError(`"${path}" belongs to uid ${stats.uid}: expected root or uid ${uid}`);
  }
}

/** Lines without their line feed. */
function splitLines(content: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let start = 0; start < content.length; ) {
    const end = content.indexOf(0x0a, start);
    lines.push(content.subarray(start, end < 0 ? content.length : end));
    start = end < 0 ? content.length : end + 1;
  }
  return lines;
}

/**
 * Passwords by user name; both are bytes, the name as latin1 text. A password is the rest of its line, unmodified.
 *
 * Empty lines and lines that begin with `#` are skipped.
 * @throws ConfigError without place; it names lines by number and never shows their content.
 */
export function readSecrets(path: string, uid: number, record?: FileRecord): ReadonlyMap<string, Buffer> {
  const content = readSmallFile(path, {
    maxBytes: MAX_FILE_BYTES,
    check: (stats) => checkSecret(path, stats, uid),
    record,
  });
  const passwords = new Map<string, Buffer>();
  splitLines(content).forEach((line, index) => {
    if (line.length === 0 || line[0] === 0x23) {
      return;
    }
    const colon = line.indexOf(0x3a);
    const user = line.toString('latin1', 0, Math.max(colon, 0));
    if (colon < 1 || colon === line.length - 1) {
      throw new ConfigError(`"${path}" line ${index + 1}: expected user:password`);
    }
    if (passwords.has(user)) {
      throw new ConfigError(`"${path}" line ${index + 1}: this user has a line already`);
    }
    passwords.set(user, line.subarray(colon + 1));
  });
  return passwords;
}
