/** Host keys: OpenSSH's and OpenSSL's files, fingerprints, signatures, broken files. */

import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../../../src/errors.ts';
import { encodeString } from '../../../../src/listener/ssh/codec.ts';
import { generateHostKey, parseHostKey } from '../../../../src/listener/ssh/ed25519-key.ts';
import { ENCRYPTED_KEY, OPENSSH_KEY, OPENSSH_KEY_FINGERPRINT, OPENSSH_KEY_PUBLIC } from './key-fixtures.ts';

/** The file with some of its bytes, counted from the start of the binary part, replaced. */
function patched(offset: number, ...bytes: readonly number[]): string {
  const binary = Buffer.from(OPENSSH_KEY.replace(/-----.*-----/g, ''), 'base64');
  binary.set(bytes, offset);
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${binary.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

describe('parseHostKey', () => {
  it('reads a file of ssh-keygen and shows the fingerprint that ssh-keygen shows', () => {
    const key = parseHostKey(OPENSSH_KEY);
    expect([key.fingerprint, key.publicLine]).toEqual([OPENSSH_KEY_FINGERPRINT, OPENSSH_KEY_PUBLIC]);
  });

  it('reads PKCS#8', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const key = parseHostKey(privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
    expect(key.blob.subarray(-32)).toEqual(publicKey.export({ format: 'raw-public' }));
  });

  it('reads what it wrote', () => {
    const key = generateHostKey();
    expect(parseHostKey(key.toOpenSshPem('a comment')).publicLine).toBe(key.publicLine);
  });

  it.each([
    ['an encrypted OpenSSH key', ENCRYPTED_KEY, /passphrase/],
    [
      'an encrypted PKCS#8 key',
      '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----',
      /passphrase/,
    ],
    [
      'an RSA key',
      generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      /only ed25519/,
    ],
    ['a public key', OPENSSH_KEY_PUBLIC, /no private key/],
    ['nothing', '', /no private key/],
    ['broken PEM', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----', /broken/],
    [
      'broken base64',
      '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----',
      /not a complete OpenSSH/,
    ],
    ['another magic', patched(0, 0x78), /not a complete OpenSSH/],
    ['check numbers that differ', patched(98, 0, 0, 0, 0), /not a complete OpenSSH/],
    ['two keys', patched(35, 0, 0, 0, 2), /more than one key/],
    ['a public key of another private key', patched(70, 0xff, 0xff), /do not belong together/],
  ])('refuses %s', (_, text, message) => {
    expect(() => parseHostKey(text)).toThrow(ConfigError);
    expect(() => parseHostKey(text)).toThrow(message);
  });

  it('throws nothing but ConfigError for a file with any bytes changed, and never shows them', () => {
    const binary = Buffer.from(OPENSSH_KEY.replace(/-----.*-----/g, ''), 'base64');
    const change = fc.tuple(fc.nat(binary.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const bytes = Buffer.from(binary);
        for (const [at, value] of changes) bytes[at] = value;
        const text = `-----BEGIN OPENSSH PRIVATE KEY-----\n${bytes.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----`;
        try {
          parseHostKey(text);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(ConfigError);
        }
      }),
    );
  });
});

describe('sign', () => {
  it('makes a signature that the public key verifies, with its algorithm', () => {
    const key = generateHostKey();
    const data = Buffer.from('exchange hash');
    const signature = key.sign(data);
    const publicKey = createPublicKey({
      key: key.blob.subarray(-32),
      format: 'raw-public',
      asymmetricKeyType: 'ed25519',
    });
    expect(signature.subarray(0, 15)).toEqual(encodeString('ssh-ed25519'));
    expect(verify(null, data, publicKey, signature.subarray(19))).toBe(true);
  });
});
