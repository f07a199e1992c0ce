/**
 * KEXINIT: what we offer, what the client offers, what both agree on (RFC 4253 7.1); transport.ts calls it.
 *
 * byte 20, 16 random bytes, ten name-lists, boolean first_kex_packet_follows, uint32 0.
 */

import { randomBytes } from 'node:crypto';
import { ProtocolError } from '../../errors.ts';
import { CIPHER_NAMES, type CipherName } from './ciphers.ts';
import { encodeBoolean, encodeMessage, encodeNameList, encodeUint32, PayloadReader } from './codec.ts';
import { MSG } from './constants.ts';
import { HOST_KEY_ALGORITHM } from './ed25519-key.ts';
import { KEX_NAMES, type KexName } from './kex.ts';

const COOKIE_BYTES = 16;

/** Each side's word for "sequence numbers start again with each key, and nothing else passes during the first exchange". */
export const STRICT_KEX_SERVER = 'kex-strict-s-v00@openssh.com';
export const STRICT_KEX_CLIENT = 'kex-strict-c-v00@openssh.com';

/** The client reads EXT_INFO (RFC 8308 2.1). */
const EXT_INFO_CLIENT = 'ext-info-c';

/**
 * Never used: our ciphers authenticate by themselves. The lists must not be empty (RFC 4253 7.1), and some clients look for a
 * common name before they see that they need none.
 */
const MAC_NAMES = ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'];

const NO_COMPRESSION = ['none'];

/** A received KEXINIT. */
export interface KexInit {
  readonly kex: readonly string[];
  readonly hostKeys: readonly string[];
  readonly ciphersIn: readonly string[];
  readonly ciphersOut: readonly string[];
  readonly compressionIn: readonly string[];
  readonly compressionOut: readonly string[];
  /** The client has sent a guessed packet behind this one. */
  readonly firstPacketFollows: boolean;
}

/** What both sides will use. `In` is from the client to us. */
export interface Agreement {
  readonly kex: KexName;
  readonly cipherIn: CipherName;
  readonly cipherOut: CipherName;
  /** The client's next packet answers a wrong guess and must be dropped. */
  readonly dropsGuess: boolean;
}

/** Our KEXINIT payload; the marker of strict key exchange stands in each, peers look at the first. */
export function encodeKexInit(): Buffer {
  const ciphers = encodeNameList(CIPHER_NAMES);
  const macs = encodeNameList(MAC_NAMES);
  const compression = encodeNameList(NO_COMPRESSION);
  const none = encodeNameList([]);
  return encodeMessage(
    MSG.KEXINIT,
    randomBytes(COOKIE_BYTES),
    encodeNameList([...KEX_NAMES, STRICT_KEX_SERVER]),
    encodeNameList([HOST_KEY_ALGORITHM]),
    ...[ciphers, ciphers],
    ...[macs, macs],
    ...[compression, compression],
    ...[none, none],
    encodeBoolean(false),
    encodeUint32(0),
  );
}

/** @throws ProtocolError when the payload is not a KEXINIT. */
export function parseKexInit(payload: Buffer): KexInit {
  const reader = new PayloadReader(payload);
  if (reader.byte('message number') !== MSG.KEXINIT) throw new ProtocolError('SSH: expected KEXINIT');
  reader.bytes(COOKIE_BYTES, 'cookie');
  const kex = reader.nameList('kex algorithms');
  const hostKeys = reader.nameList('host key algorithms');
  const ciphersIn = reader.nameList('ciphers');
  const ciphersOut = reader.nameList('ciphers');
  reader.nameList('MACs');
  reader.nameList('MACs');
  const compressionIn = reader.nameList('compression');
  const compressionOut = reader.nameList('compression');
  reader.nameList('languages');
  reader.nameList('languages');
  const firstPacketFollows = reader.boolean('first_kex_packet_follows');
  reader.uint32('reserved');
  reader.end('KEXINIT');
  return { kex, hostKeys, ciphersIn, ciphersOut, compressionIn, compressionOut, firstPacketFollows };
}

export function wantsStrictKex(client: KexInit): boolean {
  return client.kex.includes(STRICT_KEX_CLIENT);
}

export function wantsExtInfo(client: KexInit): boolean {
  return client.kex.includes(EXT_INFO_CLIENT);
}

/**
 * The client's first choice that we offer, of each kind.
 * @param isStrict whether strict key exchange is in force.
 * @throws ProtocolError when there is none.
 */
export function negotiate(client: KexInit, isStrict: boolean): Agreement {
  // SECURITY: Terrapin (CVE-2023-48795) cuts messages off chacha20-poly1305 where sequence numbers run through; GCM has its own
  // counter.
  const ciphers = isStrict ? CIPHER_NAMES : CIPHER_NAMES.filter((name) => name.includes('-gcm@'));
  const kex = choose('key exchange', client.kex, KEX_NAMES);
  choose('host key', client.hostKeys, [HOST_KEY_ALGORITHM]);
  const cipherIn = choose('cipher', client.ciphersIn, ciphers);
  const cipherOut = choose('cipher', client.ciphersOut, ciphers);
  choose('compression', client.compressionIn, NO_COMPRESSION);
  choose('compression', client.compressionOut, NO_COMPRESSION);
  const isGuessRight = client.kex[0] === KEX_NAMES[0] && client.hostKeys[0] === HOST_KEY_ALGORITHM;
  return { kex, cipherIn, cipherOut, dropsGuess: client.firstPacketFollows && !isGuessRight };
}

function choose<T extends string>(what: string, wanted: readonly string[], offered: readonly T[]): T {
  const name = wanted.find((candidate) => (offered as readonly string[]).includes(candidate));
  if (name === undefined) throw new ProtocolError(`SSH: no common ${what} algorithm`, { code: 'ssh-kex' });
  return name as T;
}
