/** Reads the files of encrypted listeners, under rules on who may write them; cli/listener-keys.ts calls it at start and at each reload. */

import { ConfigError } from '../errors.ts';
import type { FileRecord } from './file-record.ts';
import { type FileOwner, MAX_FILE_BYTES, readSmallFile } from './files.ts';
import { checkSecret } from './secrets.ts';

const GROUP_AND_OTHERS_WRITE = 0o022;

/**
 * The text of a file that says whom to trust (authorized_keys, a certificate): root or user `uid` must own it and nobody else may write it.
 * @throws ConfigError naming the file.
 */
export function readTrustedText(path: string, uid: number, record?: FileRecord): string {
  return readText(path, (stats) => checkWriters(path, stats, uid), record);
}

/** The text of a private key of root or of user `uid`, mode 0640 or stricter. @throws ConfigError naming the file. */
export function readPrivateText(path: string, uid: number, record?: FileRecord): string {
  return readText(path, (stats) => checkSecret(path, stats, uid), record);
}

/** Links are followed: certbot and Kubernetes renew files by moving them. What counts is the file at their end. */
function readText(path: string, check: (owner: FileOwner) => void, record?: FileRecord): string {
  return readSmallFile(path, { maxBytes: MAX_FILE_BYTES, followLink: true, check, record }).toString('latin1');
}

function checkWriters(path: string, stats: FileOwner, uid: number): void {
  // SECURITY: whoever can write the file decides who logs in, or which server clients believe to have reached.
  if ((stats.mode & GROUP_AND_OTHERS_WRITE) !== 0) {
    const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
    throw new ConfigError(`"${path}" has mode ${mode}: only its owner may write it (chmod go-w)`);
  }
  if (stats.uid !== 0 && stats.uid !== uid) {
    throw new ConfigError(`"${path}" belongs to uid ${stats.uid}: expected root or uid ${uid}`);
  }
}
