/** Key exchange values and derived keys, checked with the other side's half and with arithmetic done elsewhere. */

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  decapsulate,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../../../../src/errors.ts';
import { encodeMpint, encodeString } from '../../../../src/listener/ssh/codec.ts';
import { deriveKey, exchangeHash, KEX_NAMES, respondToKex } from '../../../../src/listener/ssh/kex.ts';

const raw = (key: KeyObject): Buffer => key.export({ format: 'raw-public' });
const x25519Public = (bytes: Buffer) =>
  createPublicKey({ key: bytes, format: 'raw-public', asymmetricKeyType: 'x25519' });
const x25519Private = (bytes: Buffer) =>
  createPrivateKey({ key: bytes, format: 'raw-private', asymmetricKeyType: 'x25519' });

describe('curve25519-sha256', () => {
  it('is what RFC 7748 6.1 computes', () => {
    const alice = x25519Private(Buffer.from('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a', 'hex'));
    const bob = x25519Public(Buffer.from('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f', 'hex'));
    const secret = diffieHellman({ privateKey: alice, publicKey: bob });
    expect(secret.toString('hex')).toBe('4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742');
  });

  it.each(['curve25519-sha256', 'curve25519-sha256@libssh.org'] as const)(
    '%s gives both sides the same number',
    (name) => {
      const client = generateKeyPairSync('x25519');
      const { share, secret } = respondToKex(name, raw(client.publicKey));
      const theirs = diffieHellman({ privateKey: client.privateKey, publicKey: x25519Public(share) });
      expect(secret).toEqual(encodeMpint(theirs));
    },
  );

  it('makes a new key for each exchange', () => {
    const share = raw(generateKeyPairSync('x25519').publicKey);
    expect(respondToKex('curve25519-sha256', share).share).not.toEqual(respondToKex('curve25519-sha256', share).share);
  });

  // RFC 7748 6.1 and the list that every implementation must refuse: points of order 1, 2, 4 and 8.
  it.each([
    '00'.repeat(32),
    `01${'00'.repeat(31)}`,
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    `ec${'ff'.repeat(30)}7f`,
    `ed${'ff'.repeat(30)}7f`,
  ])('refuses the point of small order %s', (point) => {
    expect(() => respondToKex('curve25519-sha256', Buffer.from(point, 'hex'))).toThrow(
      'SSH: unusable key exchange value',
    );
  });
});

describe('mlkem768x25519-sha256', () => {
  it('hashes the secrets of both methods, the lattice first', () => {
    const lattice = generateKeyPairSync('ml-kem-768');
    const curve = generateKeyPairSync('x25519');
    const { share, secret } = respondToKex(
      'mlkem768x25519-sha256',
      Buffer.concat([raw(lattice.publicKey), raw(curve.publicKey)]),
    );
    expect(share).toHaveLength(1088 + 32);
    const hash = createHash('sha256')
      .update(decapsulate(lattice.privateKey, share.subarray(0, 1088)))
      .update(diffieHellman({ privateKey: curve.privateKey, publicKey: x25519Public(share.subarray(1088)) }));
    expect(secret).toEqual(encodeString(hash.digest()));
  });

  it('refuses a lattice key with coefficients above the modulus (FIPS 203 7.2)', () => {
    const curve = raw(generateKeyPairSync('x25519').publicKey);
    const share = Buffer.concat([Buffer.alloc(1184, 0xff), curve]);
    expect(() => respondToKex('mlkem768x25519-sha256', share)).toThrow('SSH: unusable key exchange value');
  });
});

describe.each(KEX_NAMES)('%s', (name) => {
  const size = name === 'mlkem768x25519-sha256' ? 1216 : 32;

  it.each([0, size - 1, size + 1])(`refuses a share of %i bytes, where ${size} are right`, (length) => {
    expect(() => respondToKex(name, Buffer.alloc(length, 9))).toThrow('SSH: unusable key exchange value');
  });

  it('throws nothing but ProtocolError, whatever it is given', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: size, maxLength: size }), (share) => {
        try {
          respondToKex(name, Buffer.from(share));
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(ProtocolError);
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe('hashes', () => {
  const facts = {
    clientVersion: Buffer.from('SSH-2.0-a'),
    serverVersion: Buffer.from('SSH-2.0-b'),
    clientInit: Buffer.from('I_C'),
    serverInit: Buffer.from('I_S'),
    hostKey: Buffer.from('K_S'),
    clientShare: Buffer.from('Q_C'),
    serverShare: Buffer.from('Q_S'),
    secret: encodeMpint(Buffer.from('80', 'hex')),
  };

  // Computed with Python's hashlib from the layout of RFC 4253 8.
  it('of the exchange cover every value with its length', () => {
    expect(exchangeHash(facts).toString('hex')).toBe(
      '5c4e76937764139bf5bff9e4c0940071877bdc2888bd7250c73b995e73c55c1f',
    );
  });

  it.each([
    [16, 'a902ba4c6e23a18de37a1bb359282cdc'],
    [
      64,
      'a902ba4c6e23a18de37a1bb359282cdcdebc1c85198aca302af5b2de1cd42dbea7484cf629e0637cd379a3941530e10c324892b1d4baf55bf5c63eb61c0604d8',
    ],
  ])('make keys of %i bytes', (size, key) => {
    const material = { secret: facts.secret, hash: Buffer.alloc(32, 1), sessionId: Buffer.alloc(32, 2) };
    expect(deriveKey(material, 'C', size).toString('hex')).toBe(key);
  });
});
