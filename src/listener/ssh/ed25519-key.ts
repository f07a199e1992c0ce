/** The server's ed25519 host key: its blob, its signatures and its file formats; hostkey.ts reads and writes the files. */

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import { ConfigError, ProtocolError } from '../../errors.ts';
import { encodeString, encodeUint32, PayloadReader } from './codec.ts';

/** RFC 8709. */
export const HOST_KEY_ALGORITHM = 'ssh-ed25519';

const SEED_BYTES = 32;
const PUBLIC_BYTES = 32;
const MAGIC = Buffer.from('openssh-key-v1\0', 'latin1');
const OPENSSH_PEM = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END OPENSSH PRIVATE KEY-----/;

/** A host key that can sign. */
export class HostKey {
  /** Public key as the client sees it: string "ssh-ed25519", string of 32 bytes. */
  readonly blob: Buffer;
  /** `SHA256:…`, as ssh-keygen -l prints it. */
  readonly fingerprint: string;
  readonly #privateKey: KeyObject;

  /** @throws ConfigError when it is no ed25519 private key. */
  constructor(privateKey: KeyObject) {
    if (privateKey.asymmetricKeyType !== 'ed25519') {
      throw new ConfigError(`the host key is of type ${privateKey.asymmetricKeyType}; only ed25519 is supported`);
    }
    this.#privateKey = privateKey;
    const publicBytes = createPublicKey(privateKey).export({ format: 'raw-public' });
    this.blob = Buffer.concat([encodeString(HOST_KEY_ALGORITHM), encodeString(publicBytes)]);
    this.fingerprint = fingerprintOf(this.blob);
  }

  /** The line for known_hosts (behind the host name) or a .pub file. */
  get publicLine(): string {
    return `${HOST_KEY_ALGORITHM} ${this.blob.toString('base64')}`;
  }

  /** A signature with its algorithm, as KEX_REPLY holds it. */
  sign(data: Buffer): Buffer {
    return Buffer.concat([encodeString(HOST_KEY_ALGORITHM), encodeString(sign(null, data, this.#privateKey))]);
  }

  /** The unencrypted private key file that ssh-keygen would write. */
  toOpenSshPem(comment: string): string {
    const seed = this.#privateKey.export({ format: 'raw-private' });
    const check = randomBytes(4);
    const publicBytes = this.blob.subarray(-PUBLIC_BYTES);
    const fields = Buffer.concat([
      check,
      check,
      this.blob,
      encodeString(Buffer.concat([seed, publicBytes])),
      encodeString(comment),
    ]);
    const padding = Buffer.from(Array.from({ length: (8 - (fields.length % 8)) % 8 }, (_, i) => i + 1));
    const none = encodeString('none');
    const whole = Buffer.concat([
      MAGIC,
      none,
      none,
      encodeString(''),
      encodeUint32(1),
      encodeString(this.blob),
      encodeString(Buffer.concat([fields, padding])),
    ]);
    const lines = whole.toString('base64').match(/.{1,70}/g)!;
    return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n');
  }
}

export function generateHostKey(): HostKey {
  return new HostKey(generateKeyPairSync('ed25519').privateKey);
}

/** `SHA256:` and the unpadded base64 of a key blob's hash. */
export function fingerprintOf(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/**
 * Parses a private key file: OpenSSH's format or PKCS#8 in PEM, without passphrase.
 * @throws ConfigError without place, saying what is wrong; never with bytes of the file.
 */
export function parseHostKey(text: string): HostKey {
  const openSsh = OPENSSH_PEM.exec(text);
  if (openSsh !== null) return new HostKey(parseOpenSsh(Buffer.from(openSsh[1]!, 'base64')));
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----/.test(text)) throw encrypted();
  if (!/-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/.test(text)) {
    throw new ConfigError('the host key file holds no private key; make one with --keygen');
  }
  try {
    return new HostKey(createPrivateKey(text));
  } catch (thrown) {
    if (thrown instanceof ConfigError) throw thrown;
    throw new ConfigError('the host key file is broken: its private key cannot be read');
  }
}

function encrypted(): ConfigError {
  return new ConfigError('the host key has a passphrase, which nobody could type at the start of a service');
}

function parseOpenSsh(bytes: Buffer): KeyObject {
  try {
    return readOpenSsh(bytes);
  } catch (thrown) {
    if (thrown instanceof ConfigError) throw thrown;
    throw new ConfigError('the host key file is broken: not a complete OpenSSH private key');
  }
}

/** openssh-key-v1: cipher, kdf, kdf options, count, public key, then a private section of check numbers, key and comment. */
function readOpenSsh(bytes: Buffer): KeyObject {
  const reader = new PayloadReader(bytes);
  if (!reader.bytes(MAGIC.length, 'magic').equals(MAGIC)) throw new ProtocolError('magic');
  if (reader.name('cipher') !== 'none') throw encrypted();
  reader.name('kdf');
  reader.string('kdf options');
  if (reader.uint32('count') !== 1) throw new ConfigError('the host key file holds more than one key');
  const blob = reader.string('public key');
  const section = new PayloadReader(reader.string('private section'));
  const check = section.uint32('check');
  if (section.uint32('check') !== check) throw new ProtocolError('check numbers differ');
  const type = section.name('type');
  if (type !== HOST_KEY_ALGORITHM) {
    throw new ConfigError(`the host key is of type ${type}; only ${HOST_KEY_ALGORITHM} is supported`);
  }
  const publicBytes = section.string('public key');
  const both = section.string('private key');
  if (both.length !== SEED_BYTES + PUBLIC_BYTES || publicBytes.length !== PUBLIC_BYTES) throw new ProtocolError('size');
  const key = createPrivateKey({
    key: both.subarray(0, SEED_BYTES),
    format: 'raw-private',
    asymmetricKeyType: 'ed25519',
  });
  // SECURITY: a signature made with one public key in mind and another in the hash gives ed25519's private key away.
  if (!new HostKey(key).blob.equals(blob) || !both.subarray(SEED_BYTES).equals(publicBytes)) {
    throw new ConfigError('the host key file is broken: public and private key do not belong together');
  }
  return key;
}
