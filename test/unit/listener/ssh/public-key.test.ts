/** Users' keys: each kind signs and is verified, forgeries and weak keys are not. */

import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../../../../src/errors.ts';
import { encodeMpint, encodeString } from '../../../../src/listener/ssh/codec.ts';
import { parseUserKey } from '../../../../src/listener/ssh/public-key.ts';

const DATA = Buffer.from('what is signed');

interface Sample {
  readonly algorithm: string;
  readonly blob: Buffer;
  readonly signature: Buffer;
}

const field = (key: KeyObject, name: 'x' | 'y' | 'n' | 'e'): Buffer =>
  Buffer.from((key.export({ format: 'jwk' }) as Record<string, string>)[name]!, 'base64url');

const signatureOf = (algorithm: string, bytes: Buffer) => Buffer.concat([encodeString(algorithm), encodeString(bytes)]);

function ed25519(): Sample {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const blob = Buffer.concat([encodeString('ssh-ed25519'), encodeString(field(publicKey, 'x'))]);
  return { algorithm: 'ssh-ed25519', blob, signature: signatureOf('ssh-ed25519', sign(null, DATA, privateKey)) };
}

function ecdsa(curve: string, crv: string, hash: string): Sample {
  const algorithm = `ecdsa-sha2-${curve}`;
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: crv });
  const point = Buffer.concat([Buffer.of(4), field(publicKey, 'x'), field(publicKey, 'y')]);
  const both = sign(hash, DATA, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const halves = [both.subarray(0, both.length / 2), both.subarray(both.length / 2)].map(encodeMpint);
  const blob = Buffer.concat([algorithm, curve].map((name) => encodeString(name)).concat(encodeString(point)));
  return { algorithm, blob, signature: signatureOf(algorithm, Buffer.concat(halves)) };
}

function rsa(algorithm: string, hash: string, modulusLength = 2048): Sample {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength });
  const blob = Buffer.concat([
    encodeString('ssh-rsa'),
    encodeMpint(field(publicKey, 'e')),
    encodeMpint(field(publicKey, 'n')),
  ]);
  return { algorithm, blob, signature: signatureOf(algorithm, sign(hash, DATA, privateKey)) };
}

const SAMPLES = [
  ed25519(),
  ecdsa('nistp256', 'P-256', 'sha256'),
  ecdsa('nistp384', 'P-384', 'sha384'),
  ecdsa('nistp521', 'P-521', 'sha512'),
  rsa('rsa-sha2-256', 'sha256'),
  rsa('rsa-sha2-512', 'sha512'),
];

describe.each(SAMPLES)('$algorithm', ({ algorithm, blob, signature }) => {
  it('verifies its signature', () => {
    expect(parseUserKey(blob).verifies(DATA, algorithm, signature)).toBe(true);
  });

  it('does not verify other data', () => {
    expect(parseUserKey(blob).verifies(Buffer.from('something else'), algorithm, signature)).toBe(false);
  });

  it('does not verify under the name of another algorithm', () => {
    expect(parseUserKey(blob).verifies(DATA, 'ssh-rsa', signature)).toBe(false);
  });

  it('accepts no signature with a bit changed, and throws nothing but ProtocolError', () => {
    for (let at = 0; at < signature.length; at++) {
      const forged = Buffer.from(signature);
      forged[at]! ^= 1;
      let verdict = false;
      try {
        verdict = parseUserKey(blob).verifies(DATA, algorithm, forged);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(ProtocolError);
      }
      expect(verdict).toBe(false);
    }
  });
});

describe('parseUserKey', () => {
  it.each([
    ['an RSA key of 1024 bits', rsa('rsa-sha2-256', 'sha256', 1024).blob, /shorter than 2048/],
    ['DSA', encodeString('ssh-dss'), /not supported|ends inside/],
    ['a security key', Buffer.concat([encodeString('sk-ssh-ed25519@openssh.com'), encodeString('x')]), /not supported/],
    [
      'a curve that is not the type',
      Buffer.concat([encodeString('ecdsa-sha2-nistp256'), encodeString('nistp384')]),
      /not supported/,
    ],
    [
      'a curve named like a method',
      Buffer.concat([encodeString('ecdsa-sha2-toString'), encodeString('toString')]),
      /not supported/,
    ],
    ['a short ed25519 key', Buffer.concat([encodeString('ssh-ed25519'), encodeString(Buffer.alloc(31))]), /unusable/],
    [
      'an RSA key of 8200 bits',
      Buffer.concat([encodeString('ssh-rsa'), encodeMpint(Buffer.of(3)), encodeMpint(Buffer.alloc(1025, 1))]),
      /too long/,
    ],
  ])('refuses %s', (_, blob, message) => {
    expect(() => parseUserKey(blob)).toThrow(ProtocolError);
    expect(() => parseUserKey(blob)).toThrow(message);
  });

  it('refuses a point that is not on the curve', () => {
    const names = ['ecdsa-sha2-nistp256', 'nistp256'].map((name) => encodeString(name));
    const point = encodeString(Buffer.concat([Buffer.of(4), Buffer.alloc(64, 1)]));
    expect(() => parseUserKey(Buffer.concat([...names, point]))).toThrow('unusable public key');
  });

  it('throws nothing but ProtocolError for any change of a good key', () => {
    fc.assert(
      fc.property(fc.constantFrom(...SAMPLES), fc.nat(2000), fc.nat(255), ({ blob }, at, value) => {
        const bytes = Buffer.from(blob);
        bytes[at % bytes.length] = value;
        try {
          parseUserKey(bytes);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(ProtocolError);
        }
      }),
    );
  });
});
