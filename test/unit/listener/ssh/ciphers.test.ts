/** Packet ciphers: round trips, forgeries, and the same bytes from OpenSSL used another way. */

import { createCipheriv } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  CIPHER_NAMES,
  CIPHER_SIZES,
  type CipherName,
  createPacketCipher,
  type PacketCipher,
} from '../../../../src/listener/ssh/ciphers.ts';
import { poly1305 } from '../../../../src/listener/ssh/poly1305.ts';

const KEY = Buffer.from(Array.from({ length: 64 }, (_, i) => i * 3));
const IV = Buffer.from('000102030405060708090a0b', 'hex');
const BODY = Buffer.from('the body of a packet, 48 bytes with its padding');

function cipherOf(name: CipherName): PacketCipher {
  const { keyBytes, ivBytes } = CIPHER_SIZES[name];
  return createPacketCipher(name, KEY.subarray(0, keyBytes), IV.subarray(0, ivBytes));
}

/** length, body, room for the tag. */
function packetOf(body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body, Buffer.alloc(16)]);
}

describe.each(CIPHER_NAMES)('%s', (name) => {
  it('decrypts what it encrypted, packet after packet', () => {
    const [sealer, opener] = [cipherOf(name), cipherOf(name)];
    for (const sequence of [0, 1, 2, 0xffffffff, 0]) {
      const packet = packetOf(BODY);
      sealer.seal(packet, sequence);
      expect(packet.includes('body')).toBe(false);
      expect(opener.lengthOf(packet.subarray(0, 4), sequence)).toBe(BODY.length);
      expect(opener.open(packet, sequence)).toEqual(BODY);
    }
  });

  it('refuses a packet with any one bit changed', () => {
    const sealed = packetOf(BODY);
    cipherOf(name).seal(sealed, 3);
    for (let bit = 0; bit < sealed.length * 8; bit += 5) {
      const forged = Buffer.from(sealed);
      forged[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => cipherOf(name).open(forged, 3)).toThrow('SSH: packet is not authentic');
    }
  });

  it('encrypts the same packet differently the next time', () => {
    const cipher = cipherOf(name);
    const [first, second] = [packetOf(BODY), packetOf(BODY)];
    cipher.seal(first, 0);
    cipher.seal(second, 1);
    expect(first.subarray(4)).not.toEqual(second.subarray(4));
  });

  it('refuses a packet that is out of its order', () => {
    const packet = packetOf(BODY);
    cipherOf(name).seal(packet, 0);
    const opener = cipherOf(name);
    opener.open(Buffer.from(packet), 0);
    expect(() => opener.open(packet, 1)).toThrow('SSH: packet is not authentic');
  });
});

describe('AES-GCM', () => {
  it.each([
    ['aes128-gcm@openssh.com', 'aes-128-gcm'],
    ['aes256-gcm@openssh.com', 'aes-256-gcm'],
  ] as const)('%s authenticates a clear length and counts its nonce in the last eight bytes', (name, algorithm) => {
    const cipher = cipherOf(name);
    cipher.seal(packetOf(BODY), 0);
    const packet = packetOf(BODY);
    cipher.seal(packet, 1);
    const nonce = Buffer.from('000102030405060708090a0c', 'hex');
    const direct = createCipheriv(algorithm, KEY.subarray(0, CIPHER_SIZES[name].keyBytes), nonce);
    direct.setAAD(packetOf(BODY).subarray(0, 4));
    const body = Buffer.concat([direct.update(BODY), direct.final()]);
    expect(packet).toEqual(Buffer.concat([packetOf(BODY).subarray(0, 4), body, direct.getAuthTag()]));
  });

  it('wraps the counter without touching the first four bytes', () => {
    const full = Buffer.from('00010203ffffffffffffffff', 'hex');
    const cipher = createPacketCipher('aes128-gcm@openssh.com', KEY.subarray(0, 16), full);
    cipher.seal(packetOf(BODY), 0);
    const packet = packetOf(BODY);
    cipher.seal(packet, 1);
    const wrapped = createPacketCipher(
      'aes128-gcm@openssh.com',
      KEY.subarray(0, 16),
      Buffer.from('000102030000000000000000', 'hex'),
    );
    expect(wrapped.open(packet, 0)).toEqual(BODY);
  });
});

describe('chacha20-poly1305@openssh.com', () => {
  const nonce = Buffer.from('000000000000000000000005', 'hex');

  it('encrypts the body as the AEAD of RFC 8439 does under the first half of the key', () => {
    const packet = packetOf(BODY);
    cipherOf('chacha20-poly1305@openssh.com').seal(packet, 5);
    const aead = createCipheriv('chacha20-poly1305', KEY.subarray(0, 32), nonce, { authTagLength: 16 });
    expect(packet.subarray(4, -16)).toEqual(aead.update(BODY));
  });

  it('encrypts the length under the second half and authenticates both with block 0 of the first', () => {
    const packet = packetOf(BODY);
    cipherOf('chacha20-poly1305@openssh.com').seal(packet, 5);
    const iv = Buffer.concat([Buffer.alloc(4), nonce]);
    const length = createCipheriv('chacha20', KEY.subarray(32), iv).update(packetOf(BODY).subarray(0, 4));
    const tagKey = createCipheriv('chacha20', KEY.subarray(0, 32), iv).update(Buffer.alloc(32));
    expect(packet.subarray(0, 4)).toEqual(length);
    expect(packet.subarray(-16)).toEqual(poly1305(tagKey, packet.subarray(0, -16)));
  });
});
