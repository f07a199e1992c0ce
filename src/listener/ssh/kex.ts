/** Key exchange methods, exchange hash and key derivation (RFC 4253 7.2, 8731, draft-ietf-sshm-mlkem-hybrid-kex); transport.ts calls it. */

import {
  createHash,
  createPublicKey,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { ProtocolError } from '../../errors.ts';
import { encodeMpint, encodeString } from './codec.ts';

/** In our order; the client's order decides. */
export const KEX_NAMES = ['mlkem768x25519-sha256', 'curve25519-sha256', 'curve25519-sha256@libssh.org'] as const;
export type KexName = (typeof KEX_NAMES)[number];

const X25519_BYTES = 32;
/** FIPS 203, parameter set ML-KEM-768. */
const MLKEM768_KEY_BYTES = 1184;

/** Longest `Q_C` or `C_INIT` of any method. */
export const MAX_CLIENT_SHARE_BYTES = MLKEM768_KEY_BYTES + X25519_BYTES;

export interface KexResult {
  /** `Q_S` or `S_REPLY`: what the client needs from us. */
  readonly share: Buffer;
  /** The shared secret K as it enters hashes, with its length. */
  readonly secret: Buffer;
}

/**
 * Our half of an exchange, for the client's half.
 * @throws ProtocolError for a key of the wrong size or without a usable secret.
 */
export function respondToKex(name: KexName, clientShare: Buffer): KexResult {
  return name === 'mlkem768x25519-sha256' ? respondHybrid(clientShare) : respondCurve(clientShare);
}

function respondCurve(clientShare: Buffer): KexResult {
  const { share, secret } = agreeX25519(clientShare);
  return { share, secret: encodeMpint(secret) };
}

/** Both secrets are hashed together, so that breaking one method is not enough; K is a string here, not a number. */
function respondHybrid(clientShare: Buffer): KexResult {
  if (clientShare.length !== MLKEM768_KEY_BYTES + X25519_BYTES) throw badShare();
  const curve = agreeX25519(clientShare.subarray(MLKEM768_KEY_BYTES));
  const lattice = encapsulateFor(clientShare.subarray(0, MLKEM768_KEY_BYTES));
  const secret = createHash('sha256').update(lattice.sharedKey).update(curve.secret).digest();
  return { share: Buffer.concat([lattice.ciphertext, curve.share]), secret: encodeString(secret) };
}

function agreeX25519(clientShare: Buffer): { share: Buffer; secret: Buffer } {
  const theirs = rawPublicKey('x25519', clientShare, X25519_BYTES);
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  try {
    // SECURITY: OpenSSL refuses points of small order, whose secret everybody knows (RFC 7748 6.1).
    const secret = diffieHellman({ privateKey, publicKey: theirs });
    return { share: publicKey.export({ format: 'raw-public' }), secret };
  } catch (thrown) {
    throw badShare(thrown);
  }
}

function encapsulateFor(key: Buffer): { sharedKey: Buffer; ciphertext: Buffer } {
  const theirs = rawPublicKey('ml-kem-768', key, MLKEM768_KEY_BYTES);
  try {
    return encapsulate(theirs);
  } catch (thrown) {
    throw badShare(thrown);
  }
}

function rawPublicKey(type: 'x25519' | 'ml-kem-768', bytes: Buffer, size: number): KeyObject {
  if (bytes.length !== size) throw badShare();
  try {
    return createPublicKey({ key: bytes, format: 'raw-public', asymmetricKeyType: type });
  } catch (thrown) {
    throw badShare(thrown);
  }
}

function badShare(cause?: unknown): ProtocolError {
  return new ProtocolError('SSH: unusable key exchange value', { code: 'ssh-kex', cause });
}

/** What both sides sign and bind their keys to. */
export interface ExchangeFacts {
  /** Version lines without line ends. */
  readonly clientVersion: Buffer;
  readonly serverVersion: Buffer;
  /** Whole KEXINIT payloads. */
  readonly clientInit: Buffer;
  readonly serverInit: Buffer;
  readonly hostKey: Buffer;
  readonly clientShare: Buffer;
  readonly serverShare: Buffer;
  /** Encoded, with its length. */
  readonly secret: Buffer;
}

/** The exchange hash H (RFC 8731 3.1 with RFC 4253 8). */
export function exchangeHash(facts: ExchangeFacts): Buffer {
  const hash = createHash('sha256');
  const strings = [
    facts.clientVersion,
    facts.serverVersion,
    facts.clientInit,
    facts.serverInit,
    facts.hostKey,
    facts.clientShare,
    facts.serverShare,
  ];
  for (const bytes of strings) hash.update(encodeString(bytes));
  return hash.update(facts.secret).digest();
}

/** Purposes of derived keys (RFC 4253 7.2). */
export type KeyLetter = 'A' | 'B' | 'C' | 'D';

export interface KeyMaterial {
  /** Encoded shared secret. */
  readonly secret: Buffer;
  readonly hash: Buffer;
  /** The hash of the connection's first exchange. */
  readonly sessionId: Buffer;
}

/** `size` bytes of key for one purpose; longer keys than a hash are chained. */
export function deriveKey(material: KeyMaterial, letter: KeyLetter, size: number): Buffer {
  const start = () => createHash('sha256').update(material.secret).update(material.hash);
  let key = start().update(letter).update(material.sessionId).digest();
  while (key.length < size) key = Buffer.concat([key, start().update(key).digest()]);
  return key.subarray(0, size);
}
