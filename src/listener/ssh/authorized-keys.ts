/** authorized_keys files (sshd(8)): one key and its options per line; the configuration reads the text, auth.ts asks for keys. */

import { fingerprintOf } from './ed25519-key.ts';
import { type KeyRights, parseKeyOptions } from './key-options.ts';
import { MAX_KEY_BLOB_BYTES, parseUserKey, type UserKey } from './public-key.ts';

/** One usable key. */
export interface AuthorizedKey {
  readonly blob: Buffer;
  readonly key: UserKey;
  /** `SHA256:…` */
  readonly fingerprint: string;
  readonly rights: KeyRights;
  /** 1 is the first line of the file. */
  readonly line: number;
}

/** What a file allows. Immutable: a reload makes a new one and leaves sessions alone. */
export class AuthorizedKeys {
  readonly keys: readonly AuthorizedKey[];
  /** One text per line that was left out or says less than it seems; they name the line and hold no key. */
  readonly warnings: readonly string[];
  /** The file. */
  readonly text: string;

  constructor(keys: readonly AuthorizedKey[], warnings: readonly string[], text: string) {
    this.keys = keys;
    this.warnings = warnings;
    this.text = text;
  }

  /** The first entry for this blob that may be used from this address; null when there is none. */
  find(blob: Buffer, address: string): AuthorizedKey | null {
    return this.keys.find((entry) => entry.blob.equals(blob) && entry.rights.allowsFrom(address)) ?? null;
  }
}

/**
 * Parses a file. Never throws.
 *
 * SECURITY: a line that cannot be honoured in full gives no access, as a restriction that is not understood must not be dropped;
 * the warning says so.
 */
export function parseAuthorizedKeys(text: string): AuthorizedKeys {
  const keys: AuthorizedKey[] = [];
  const warnings: string[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    try {
      const entry = parseLine(line, index + 1);
      keys.push(entry);
      for (const note of entry.rights.notes) warnings.push(`line ${index + 1}: ${note}`);
    } catch (thrown) {
      warnings.push(`line ${index + 1} gives no access: ${thrown instanceof Error ? thrown.message : 'unreadable'}`);
    }
  }
  return new AuthorizedKeys(keys, warnings, text);
}

const KEY_TYPE = /^(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[A-Za-z0-9@.-]+$/;

function parseLine(line: string, number: number): AuthorizedKey {
  const first = splitOptions(line);
  const hasOptions = !KEY_TYPE.test(first.head);
  const rest = hasOptions ? first.tail : line;
  const [type = '', base64 = ''] = rest.split(/[ \t]+/, 2);
  if (!KEY_TYPE.test(type)) throw new Error('no key type found');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw new Error('the key is not base64');
  const blob = Buffer.from(base64, 'base64');
  if (blob.length > MAX_KEY_BLOB_BYTES) throw new Error('the key is too long');
  const key = parseUserKey(blob);
  if (key.type !== type) throw new Error('the key is of another type than the line says');
  const rights = parseKeyOptions(hasOptions ? first.head : '');
  return { blob, key, fingerprint: fingerprintOf(blob), rights, line: number };
}

/** Cuts at the first blank outside double quotes; a backslash keeps a quote inside them. */
function splitOptions(line: string): { head: string; tail: string } {
  const head = /^(?:"(?:\\"|[^"])*"|[^" \t])*/.exec(line)![0];
  return { head, tail: line.slice(head.length).trimStart() };
}
