/** KEXINIT: what is offered, how both sides agree, anything at all as input. */

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../../../../src/errors.ts';
import {
  encodeKexInit,
  type KexInit,
  negotiate,
  parseKexInit,
  wantsExtInfo,
  wantsStrictKex,
} from '../../../../src/listener/ssh/algorithms.ts';

const OFFER: KexInit = {
  kex: ['curve25519-sha256'],
  hostKeys: ['ssh-ed25519'],
  ciphersIn: ['chacha20-poly1305@openssh.com', 'aes128-gcm@openssh.com'],
  ciphersOut: ['aes256-gcm@openssh.com'],
  compressionIn: ['none', 'zlib@openssh.com'],
  compressionOut: ['zlib@openssh.com', 'none'],
  firstPacketFollows: false,
};

describe('our KEXINIT', () => {
  it('offers nothing weak, and strict key exchange', () => {
    expect(parseKexInit(encodeKexInit())).toEqual({
      kex: [
        'mlkem768x25519-sha256',
        'curve25519-sha256',
        'curve25519-sha256@libssh.org',
        'kex-strict-s-v00@openssh.com',
      ],
      hostKeys: ['ssh-ed25519'],
      ciphersIn: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'chacha20-poly1305@openssh.com'],
      ciphersOut: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'chacha20-poly1305@openssh.com'],
      compressionIn: ['none'],
      compressionOut: ['none'],
      firstPacketFollows: false,
    });
  });

  it('has a new cookie each time', () => {
    expect(encodeKexInit().subarray(1, 17)).not.toEqual(encodeKexInit().subarray(1, 17));
  });
});

describe('negotiate', () => {
  it('follows the order of the client, in each direction', () => {
    const { kex, cipherIn, cipherOut } = negotiate(OFFER, true);
    expect([kex, cipherIn, cipherOut]).toEqual([
      'curve25519-sha256',
      'chacha20-poly1305@openssh.com',
      'aes256-gcm@openssh.com',
    ]);
  });

  it('passes chacha20-poly1305 over without strict key exchange', () => {
    expect(negotiate(OFFER, false).cipherIn).toBe('aes128-gcm@openssh.com');
  });

  it.each([
    ['key exchange', { kex: ['kex-strict-s-v00@openssh.com', 'ecdh-sha2-nistp256'] }],
    ['host key', { hostKeys: ['rsa-sha2-512'] }],
    ['cipher', { ciphersIn: ['aes256-ctr'] }],
    ['cipher', { ciphersOut: [] }],
    ['compression', { compressionIn: ['zlib'] }],
    ['compression', { compressionOut: ['zlib'] }],
  ])('finds no common %s algorithm in %j', (what, change) => {
    expect(() => negotiate({ ...OFFER, ...change }, true)).toThrow(`SSH: no common ${what} algorithm`);
  });

  it.each([
    [['mlkem768x25519-sha256', 'curve25519-sha256'], false],
    [['curve25519-sha256', 'mlkem768x25519-sha256'], true],
    [['sntrup761x25519-sha512', 'mlkem768x25519-sha256'], true],
  ])('takes a guess for %j as wrong: %j', (kex, isWrong) => {
    expect(negotiate({ ...OFFER, kex, firstPacketFollows: true }, true).dropsGuess).toBe(isWrong);
    expect(negotiate({ ...OFFER, kex }, true).dropsGuess).toBe(false);
  });
});

describe('markers', () => {
  it('are found in the list of key exchanges', () => {
    const marked = { ...OFFER, kex: ['kex-strict-c-v00@openssh.com', 'ext-info-c'] };
    expect([wantsStrictKex(marked), wantsExtInfo(marked)]).toEqual([true, true]);
    expect([wantsStrictKex(OFFER), wantsExtInfo(OFFER)]).toEqual([false, false]);
  });
});

describe('parseKexInit', () => {
  it('throws nothing but ProtocolError, whatever it is given', () => {
    const whole = encodeKexInit();
    const cut = fc.nat(whole.length).map((end) => whole.subarray(0, end));
    const changed = fc.tuple(fc.nat(whole.length - 1), fc.nat(255)).map(([at, value]) => {
      const bytes = Buffer.from(whole);
      bytes[at] = value;
      return bytes;
    });
    const anything = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.oneof(cut, changed, anything), (payload) => {
        try {
          negotiate(parseKexInit(payload), true);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(ProtocolError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
