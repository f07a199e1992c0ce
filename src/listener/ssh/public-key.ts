/** Public keys of users: blobs in, signatures verified by node:crypto; auth.ts and authorized-keys.ts call it. */

import { createPublicKey, type JsonWebKeyInput, type KeyObject, verify } from 'node:crypto';
import { ProtocolError } from '../../errors.ts';
import { PayloadReader } from './codec.ts';

/** Signature algorithms that we verify (RFC 8709, 5656, 8332), in the order of preference. `ssh-rsa` means SHA-1 and is refused. */
export const SIGNATURE_ALGORITHMS = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const;
type SignatureAlgorithm = (typeof SIGNATURE_ALGORITHMS)[number];

/** Longest blob of any key that we take: RSA of 8192 bits has 1 050 bytes. */
export const MAX_KEY_BLOB_BYTES = 2048;

/** SECURITY: shorter keys can be factored; longer ones make us compute (the upper bound is OpenSSH's half). */
const RSA_BYTES = { min: 256, max: 1024 };

const CURVES: Readonly<Record<string, { crv: string; bytes: number; hash: string }>> = {
  nistp256: { crv: 'P-256', bytes: 32, hash: 'sha256' },
  nistp384: { crv: 'P-384', bytes: 48, hash: 'sha384' },
  nistp521: { crv: 'P-521', bytes: 66, hash: 'sha512' },
};

/** A parsed key that can check signatures. */
export interface UserKey {
  /** The type inside the blob, as `ssh-ed25519` or `ssh-rsa`. */
  readonly type: string;
  /** Signature algorithms that fit the key. */
  readonly algorithms: readonly SignatureAlgorithm[];
  /**
   * True when the signature string of a request is good for `data`.
   * @throws ProtocolError when it is not even well-formed.
   */
  verifies(data: Buffer, algorithm: string, signature: Buffer): boolean;
}

/**
 * Parses a public key blob.
 * @throws ProtocolError for a type that we do not take and for a broken key.
 */
export function parseUserKey(blob: Buffer): UserKey {
  const reader = new PayloadReader(blob);
  const type = reader.name('key type');
  const parse = type === 'ssh-ed25519' ? parseEd25519 : type === 'ssh-rsa' ? parseRsa : parseEcdsa;
  return parse(reader, type);
}

function importKey(jwk: JsonWebKeyInput['key']): KeyObject {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' });
  } catch (thrown) {
    throw new ProtocolError('SSH: unusable public key', { cause: thrown });
  }
}

const base64url = (bytes: Buffer): string => bytes.toString('base64url');

function parseEd25519(reader: PayloadReader, type: string): UserKey {
  const x = reader.string('public key', 32);
  reader.end('public key');
  if (x.length !== 32) throw new ProtocolError('SSH: unusable public key');
  const key = importKey({ kty: 'OKP', crv: 'Ed25519', x: base64url(x) });
  const check: Check = (data, _algorithm, signature) => verify(null, data, key, signature.string('signature', 64));
  return userKey(type, ['ssh-ed25519'], check);
}

function parseRsa(reader: PayloadReader, type: string): UserKey {
  const e = reader.positiveMpint('RSA exponent', 8);
  const n = reader.positiveMpint('RSA modulus', RSA_BYTES.max);
  reader.end('public key');
  if (n.length < RSA_BYTES.min) throw new ProtocolError('SSH: RSA key shorter than 2048 bits');
  const key = importKey({ kty: 'RSA', e: base64url(e), n: base64url(n) });
  const check: Check = (data, algorithm, signature) => {
    const hash = algorithm === 'rsa-sha2-512' ? 'sha512' : 'sha256';
    // Leading zeros are not sent by every client (RFC 8332 3 asks for the full length).
    const bytes = signature.string('signature', RSA_BYTES.max);
    const full = Buffer.concat([Buffer.alloc(Math.max(0, n.length - bytes.length)), bytes]);
    return verify(hash, data, key, full);
  };
  return userKey(type, ['rsa-sha2-512', 'rsa-sha2-256'], check);
}

function parseEcdsa(reader: PayloadReader, type: string): UserKey {
  const curve = reader.name('curve');
  const parameters = Object.hasOwn(CURVES, curve) ? CURVES[curve] : undefined;
  if (parameters === undefined || type !== `ecdsa-sha2-${curve}`) {
    throw new ProtocolError('SSH: key type is not supported');
  }
  const { crv, bytes, hash } = parameters;
  const point = reader.string('public key', 1 + 2 * bytes);
  reader.end('public key');
  if (point.length !== 1 + 2 * bytes || point[0] !== 4) throw new ProtocolError('SSH: unusable public key');
  const [x, y] = [point.subarray(1, 1 + bytes), point.subarray(1 + bytes)];
  const key = importKey({ kty: 'EC', crv, x: base64url(x), y: base64url(y) });
  const check: Check = (data, _algorithm, signature) => {
    const inner = new PayloadReader(signature.string('signature', 2 * (bytes + 5)));
    const halves = [inner.positiveMpint('signature', bytes), inner.positiveMpint('signature', bytes)];
    inner.end('signature');
    const fixed = halves.map((half) => Buffer.concat([Buffer.alloc(bytes), half]).subarray(-bytes));
    return verify(hash, data, { key, dsaEncoding: 'ieee-p1363' }, Buffer.concat(fixed));
  };
  return userKey(type, [type as SignatureAlgorithm], check);
}

type Check = (data: Buffer, algorithm: string, signature: PayloadReader) => boolean;

function userKey(type: string, algorithms: readonly SignatureAlgorithm[], check: Check): UserKey {
  return {
    type,
    algorithms,
    verifies(data, algorithm, signature) {
      const reader = new PayloadReader(signature);
      const isSame = reader.name('signature algorithm') === algorithm;
      const isFitting = (algorithms as readonly string[]).includes(algorithm);
      const isGood = isSame && isFitting && check(data, algorithm, reader);
      if (isGood) reader.end('signature');
      return isGood;
    },
  };
}
