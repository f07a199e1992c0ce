/** Reads and writes host key files; main code calls it before the daemon gives up its rights. */

import { closeSync, constants, fstatSync, openSync, readSync, type Stats, writeSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ConfigError } from '../../errors.ts';
import { generateHostKey, type HostKey, parseHostKey } from './ed25519-key.ts';

/** An ed25519 key file has about 400 bytes; RSA ones, which get an explanation, 3 KiB. */
const MAX_KEY_FILE_BYTES = 16_384;

const GROUP_AND_OTHERS = 0o077;

/**
 * Reads a host key file (OpenSSH or PKCS#8, ed25519, no passphrase).
 *
 * The file must be regular, belong to us or to root and be closed to everybody else (0600 or 0400). Below `credentialsDirectory`
 * the service manager vouches for that: systemd shows its access list as group bits.
 * @param recall gives the text as an earlier stage of the process has read it, or calls `read`.
 * @throws ConfigError naming the file and what to do.
 */
export function loadHostKey(
  path: string,
  credentialsDirectory: string | null = null,
  recall: (read: () => string) => string = (read) => read(),
): HostKey {
  const isCredential = credentialsDirectory !== null && dirname(resolve(path)) === resolve(credentialsDirectory);
  const text = recall(() =>
    readKeyFile(path, (stats) => {
      if (!isCredential) checkOwner(path, stats);
    }),
  );
  try {
    return parseHostKey(text);
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    throw new ConfigError(`"${path}": ${thrown.message}`, { cause: thrown });
  }
}

/**
 * Makes a new host key and writes it to a file of mode 0600 that must not exist.
 * @throws ConfigError when it exists or cannot be written.
 */
export function createHostKeyFile(path: string, comment: string): HostKey {
  const key = generateHostKey();
  let fd: number;
  try {
    // SECURITY: O_EXCL neither follows a planted link nor replaces the identity that clients have pinned.
    fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'EEXIST' ? 'exists already and is left alone' : `cannot be created: ${code}`;
    throw new ConfigError(`"${path}" ${reason}`, { cause: error });
  }
  try {
    writeSync(fd, key.toOpenSshPem(comment));
  } catch (error) {
    throw new ConfigError(`"${path}" cannot be written: ${(error as NodeJS.ErrnoException).code}`, { cause: error });
  } finally {
    closeSync(fd);
  }
  return key;
}

function readKeyFile(path: string, check: (stats: Stats) => void): string {
  let fd: number;
  try {
    // O_NONBLOCK: a FIFO must not hang the start.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'no such file; make the host key with --keygen' : `cannot be opened: ${code}`;
    throw new ConfigError(`"${path}": ${reason}`, { cause: error });
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw new ConfigError(`"${path}" is not a regular file`);
    check(stats);
    const bytes = Buffer.alloc(MAX_KEY_FILE_BYTES + 1);
    let length = 0;
    for (let count = -1; count !== 0 && length < bytes.length; length += count) {
      count = readSync(fd, bytes, length, bytes.length - length, null);
    }
    if (length > MAX_KEY_FILE_BYTES) throw new ConfigError(`"${path}" is too large for a host key`);
    return bytes.toString('latin1', 0, length);
  } finally {
    closeSync(fd);
  }
}

function checkOwner(path: string, stats: Stats): void {
  // SECURITY: whoever reads the key can pose as this server; whoever writes it can too.
  if ((stats.mode & GROUP_AND_OTHERS) !== 0) {
    const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
    throw new ConfigError(`"${path}" has mode ${mode}: a host key must be closed to others (chmod 600)`);
  }
  if (stats.uid !== 0 && stats.uid !== process.geteuid?.()) {
    throw new ConfigError(`"${path}" belongs to user ${stats.uid}: a host key must belong to root or to us`);
  }
}
