/**
 * Packet ciphers, one object per direction and key; packet.ts calls them.
 *
 * A packet is length:uint32, then the body (padding length, payload, padding), then a tag.
 */

import { createCipheriv, createDecipheriv, timingSafeEqual } from 'node:crypto';
import { ProtocolError } from '../../errors.ts';
import { POLY1305_TAG_BYTES, poly1305 } from './poly1305.ts';

/** Bytes of the length field. */
export const LENGTH_BYTES = 4;

/** Encrypts or decrypts the packets of one direction in order. */
export interface PacketCipher {
  /** The padded part of a packet is a multiple of this. */
  readonly blockBytes: number;
  /** Whether the length field counts as padded part: it does without encryption only (RFC 4253 6). */
  readonly padsLength: boolean;
  readonly tagBytes: number;
  /** Encrypts in place and fills in the tag. */
  seal(packet: Buffer, sequence: number): void;
  /** The value of a received length field; not authenticated yet. */
  lengthOf(field: Buffer, sequence: number): number;
  /**
   * The decrypted body of a received packet, in memory of the caller's.
   * @throws ProtocolError when the tag does not fit.
   */
  open(packet: Buffer, sequence: number): Buffer;
}

export const CIPHER_NAMES = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'chacha20-poly1305@openssh.com',
] as const;
export type CipherName = (typeof CIPHER_NAMES)[number];

/** Bytes of key and of initial vector that each cipher wants from the key derivation. */
export const CIPHER_SIZES: Readonly<Record<CipherName, { keyBytes: number; ivBytes: number }>> = {
  'aes128-gcm@openssh.com': { keyBytes: 16, ivBytes: 12 },
  'aes256-gcm@openssh.com': { keyBytes: 32, ivBytes: 12 },
  'chacha20-poly1305@openssh.com': { keyBytes: 64, ivBytes: 0 },
};

/** Makes the cipher of one direction; `key` and `iv` have the sizes of CIPHER_SIZES. */
export function createPacketCipher(name: CipherName, key: Buffer, iv: Buffer): PacketCipher {
  switch (name) {
    case 'aes128-gcm@openssh.com':
      return new AesGcm('aes-128-gcm', key, iv);
    case 'aes256-gcm@openssh.com':
      return new AesGcm('aes-256-gcm', key, iv);
    case 'chacha20-poly1305@openssh.com':
      return new ChaCha20Poly1305(key);
  }
}

/** Before the first key exchange. */
export const PLAIN: PacketCipher = Object.freeze({
  blockBytes: 8,
  padsLength: true,
  tagBytes: 0,
  seal() {},
  lengthOf: (field: Buffer) => field.readUInt32BE(0),
  open: (packet: Buffer) => packet.subarray(LENGTH_BYTES),
});

function badTag(cause?: unknown): ProtocolError {
  return new ProtocolError('SSH: packet is not authentic', { code: 'ssh-mac', cause });
}

const GCM_TAG = { authTagLength: 16 };

/** AES in Galois/Counter mode: the length is clear and authenticated; the nonce counts packets (RFC 5647 7). */
class AesGcm implements PacketCipher {
  readonly blockBytes = 16;
  readonly padsLength = false;
  readonly tagBytes = 16;
  readonly #algorithm: 'aes-128-gcm' | 'aes-256-gcm';
  readonly #key: Buffer;
  readonly #nonce: Buffer;
  #count: bigint;

  constructor(algorithm: 'aes-128-gcm' | 'aes-256-gcm', key: Buffer, iv: Buffer) {
    this.#algorithm = algorithm;
    this.#key = key;
    this.#nonce = Buffer.from(iv);
    this.#count = iv.readBigUInt64BE(4);
  }

  seal(packet: Buffer): void {
    const end = packet.length - this.tagBytes;
    const cipher = createCipheriv(this.#algorithm, this.#key, this.#nonce, GCM_TAG);
    cipher.setAAD(packet.subarray(0, LENGTH_BYTES));
    packet.set(cipher.update(packet.subarray(LENGTH_BYTES, end)), LENGTH_BYTES);
    cipher.final();
    packet.set(cipher.getAuthTag(), end);
    this.#advance();
  }

  lengthOf(field: Buffer): number {
    return field.readUInt32BE(0);
  }

  open(packet: Buffer): Buffer {
    const end = packet.length - this.tagBytes;
    const decipher = createDecipheriv(this.#algorithm, this.#key, this.#nonce, GCM_TAG);
    decipher.setAAD(packet.subarray(0, LENGTH_BYTES));
    decipher.setAuthTag(packet.subarray(end));
    const body = decipher.update(packet.subarray(LENGTH_BYTES, end));
    try {
      decipher.final();
    } catch (thrown) {
      throw badTag(thrown);
    }
    this.#advance();
    return body;
  }

  /** Four fixed bytes, then a 64-bit counter that may wrap. */
  #advance(): void {
    this.#count = (this.#count + 1n) & 0xffffffffffffffffn;
    this.#nonce.writeBigUInt64BE(this.#count, 4);
  }
}

/** Keystream block 0 is the key of the authenticator; the packet's body starts at block 1. */
const BLOCK_ZERO = Buffer.alloc(64);

/**
 * ChaCha20 and Poly1305 as OpenSSH combines them: the first half of the key encrypts the body, the second the length, both under the
 * packet's sequence number, and the tag is over the encrypted length and body.
 */
class ChaCha20Poly1305 implements PacketCipher {
  readonly blockBytes = 8;
  readonly padsLength = false;
  readonly tagBytes = POLY1305_TAG_BYTES;
  readonly #bodyKey: Buffer;
  readonly #lengthKey: Buffer;
  /** OpenSSL's layout: block counter in the first 8 bytes, nonce in the last 8, the sequence number big-endian at its end. */
  readonly #nonce = Buffer.alloc(16);

  constructor(key: Buffer) {
    this.#bodyKey = key.subarray(0, 32);
    this.#lengthKey = key.subarray(32, 64);
  }

  seal(packet: Buffer, sequence: number): void {
    const end = packet.length - this.tagBytes;
    packet.set(this.#lengthCipher(packet.subarray(0, LENGTH_BYTES), sequence));
    const body = createCipheriv('chacha20', this.#bodyKey, this.#nonce);
    const tagKey = body.update(BLOCK_ZERO);
    packet.set(body.update(packet.subarray(LENGTH_BYTES, end)), LENGTH_BYTES);
    packet.set(poly1305(tagKey, packet.subarray(0, end)), end);
  }

  lengthOf(field: Buffer, sequence: number): number {
    return this.#lengthCipher(field, sequence).readUInt32BE(0);
  }

  open(packet: Buffer, sequence: number): Buffer {
    const end = packet.length - this.tagBytes;
    this.#nonce.writeUInt32BE(sequence, 12);
    const body = createDecipheriv('chacha20', this.#bodyKey, this.#nonce);
    const tagKey = body.update(BLOCK_ZERO);
    if (!timingSafeEqual(poly1305(tagKey, packet.subarray(0, end)), packet.subarray(end))) throw badTag();
    return body.update(packet.subarray(LENGTH_BYTES, end));
  }

  /** Encrypting and decrypting are the same. */
  #lengthCipher(field: Buffer, sequence: number): Buffer {
    this.#nonce.writeUInt32BE(sequence, 12);
    return createCipheriv('chacha20', this.#lengthKey, this.#nonce).update(field);
  }
}
