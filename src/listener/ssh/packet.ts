/**
 * The binary packet layer (RFC 4253 6): packets in and out of a transport; transport.ts owns one of each.
 *
 * length:uint32 paddingLength:byte payload padding tag. `length` counts paddingLength, payload and padding.
 */

import { LimitError, ProtocolError } from '../../errors.ts';
import type { Limits } from '../../limits.ts';
import type { ByteReader } from '../../wire/reader.ts';
import type { Transport } from '../../wire/transport.ts';
import { LENGTH_BYTES, type PacketCipher, PLAIN } from './ciphers.ts';
import { MSG } from './constants.ts';
import { acquireOutput, releaseOutput } from './output-pool.ts';

const HEADER_BYTES = LENGTH_BYTES + 1;
const MIN_PADDING = 4;

/** Message number, channel, length of the string. */
const DATA_HEADER_BYTES = 9;

/** Data in one packet: what RFC 4253 6.1 makes every peer accept, and what OpenSSH uses. */
export const MAX_DATA_BYTES = 32_768;

/** Data up to this size gets memory of its own size. */
const SMALL_DATA_BYTES = 8192;

/** Upper bound of everything that a packet has besides its payload, for all ciphers. */
const OVERHEAD_BYTES = HEADER_BYTES + MIN_PADDING + 16 + 16;

/** Sequence numbers, bytes under the current key, and the switch to the next key; the same in both directions. */
class Direction {
  cipher: PacketCipher = PLAIN;
  /** Number of the next packet, modulo 2^32. */
  sequence = 0;
  /** Bytes under the current key. */
  bytes = 0;

  /** @param resetsSequence with strict key exchange each key starts at 0. */
  changeKey(cipher: PacketCipher, resetsSequence: boolean): void {
    this.cipher = cipher;
    this.bytes = 0;
    if (resetsSequence) this.sequence = 0;
  }

  protected advance(bytes: number): void {
    this.sequence = (this.sequence + 1) >>> 0;
    this.bytes += bytes;
  }
}

/** Takes packets from a byte stream. */
export class PacketReader extends Direction {
  readonly #reader: ByteReader;
  readonly #maxBytes: number;

  constructor(reader: ByteReader, limits: Pick<Limits, 'sshPacketBytes'>) {
    super();
    this.#reader = reader;
    this.#maxBytes = limits.sshPacketBytes;
  }

  /**
   * The next payload, never empty, in memory of its own.
   * @throws ProtocolError for a broken or forged packet, LimitError for a long one.
   */
  async read(): Promise<Buffer> {
    const { cipher } = this;
    const field = await this.#reader.readBytes(LENGTH_BYTES, 'SSH packet');
    const length = cipher.lengthOf(field, this.sequence);
    const total = LENGTH_BYTES + length + cipher.tagBytes;
    // SECURITY: the length is not authenticated yet; nothing is allocated for one that cannot be right.
    if (total > this.#maxBytes) throw new LimitError('sshPacketBytes', 'SSH packet too long');
    const padded = cipher.padsLength ? LENGTH_BYTES + length : length;
    if (padded % cipher.blockBytes !== 0 || length < 1 + 1 + MIN_PADDING) {
      throw new ProtocolError('SSH: packet length out of range');
    }
    const rest = await this.#reader.readBytes(total - LENGTH_BYTES, 'SSH packet');
    const body = cipher.open(Buffer.concat([field, rest]), this.sequence);
    this.advance(total);
    const padding = body[0]!;
    if (padding < MIN_PADDING || padding > length - 2) throw new ProtocolError('SSH: padding length out of range');
    return body.subarray(1, length - padding);
  }
}

/** Puts packets on a transport. */
export class PacketWriter extends Direction {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    super();
    this.#transport = transport;
  }

  /** Queues one packet. Never throws; a broken transport drops it. */
  write(payload: Buffer): void {
    const packet = Buffer.allocUnsafe(payload.length + OVERHEAD_BYTES);
    payload.copy(packet, HEADER_BYTES);
    this.#transport.write(packet.subarray(0, this.#seal(packet, payload.length)));
  }

  /**
   * Queues channel data in as many packets as it needs. `data` may be reused when this returns.
   * @param maxBytes of data in one packet, at most MAX_DATA_BYTES.
   */
  writeData(channel: number, data: Uint8Array, maxBytes: number): void {
    for (let at = 0; at < data.length; ) {
      const size = data.length - at;
      const isPooled = size > SMALL_DATA_BYTES;
      // A small packet size would need more room for headers than a chunk has for all that is left.
      const output = isPooled
        ? acquireOutput()
        : Buffer.allocUnsafe((DATA_HEADER_BYTES + OVERHEAD_BYTES) * Math.ceil(size / maxBytes) + size);
      let end = 0;
      while (at < data.length) {
        const part = data.subarray(at, at + maxBytes);
        if (end + DATA_HEADER_BYTES + OVERHEAD_BYTES + part.length > output.length) break;
        end += this.#sealData(output.subarray(end), channel, part);
        at += part.length;
      }
      this.#transport.write(output.subarray(0, end), isPooled ? () => releaseOutput(output) : undefined);
    }
  }

  #sealData(packet: Buffer, channel: number, data: Uint8Array): number {
    packet[HEADER_BYTES] = MSG.CHANNEL_DATA;
    packet.writeUInt32BE(channel, HEADER_BYTES + 1);
    packet.writeUInt32BE(data.length, HEADER_BYTES + 5);
    packet.set(data, HEADER_BYTES + DATA_HEADER_BYTES);
    return this.#seal(packet, DATA_HEADER_BYTES + data.length);
  }

  /** Frames and encrypts the payload that stands behind the header already. @returns the size of the packet. */
  #seal(packet: Buffer, payloadBytes: number): number {
    const { cipher } = this;
    const unpadded = (cipher.padsLength ? HEADER_BYTES : 1) + payloadBytes;
    const padding = MIN_PADDING + cipher.blockBytes - 1 - ((unpadded + MIN_PADDING - 1) % cipher.blockBytes);
    const end = HEADER_BYTES + payloadBytes + padding;
    packet.writeUInt32BE(end - LENGTH_BYTES, 0);
    packet[LENGTH_BYTES] = padding;
    // SECURITY: pooled memory holds other sessions' bytes. Random padding would hide nothing under these ciphers.
    packet.fill(0, end - padding, end);
    const total = end + cipher.tagBytes;
    cipher.seal(packet.subarray(0, total), this.sequence);
    this.advance(total);
    return total;
  }
}
