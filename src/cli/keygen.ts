/** --keygen: the only way in which a host key comes into being; main.ts prints what it returns. */

import { hostKeyFile } from '../config/listeners.ts';
import { createHostKeyFile } from '../listener/ssh/hostkey.ts';
import { escapeControls } from '../observe/escape.ts';

/** Stands in the key file, where ssh-keygen shows it. */
const COMMENT = 'gokr-rsyncd';

/**
 * Writes a new host key with mode 0600.
 * @param file null: the name that SSH listeners look for, in the current directory.
 * @returns what the operator gives to clients: fingerprint and public key.
 * @throws ConfigError when the file exists or cannot be written.
 */
export function makeHostKey(file: string | null): string {
  const path = hostKeyFile(file);
  const { fingerprint, publicLine } = createHostKeyFile(path, COMMENT);
  return [
    `host key written: ${escapeControls(path)}`,
    `fingerprint: ${fingerprint}`,
    `public key: ${publicLine}`,
    '',
  ].join('\n');
}
