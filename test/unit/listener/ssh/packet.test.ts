/** The binary packet layer: round trips, cuts, bounds, forged framing. */

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LimitError, PeerGone, ProtocolError } from '../../../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../../../src/limits.ts';
import {
  CIPHER_NAMES,
  CIPHER_SIZES,
  type CipherName,
  createPacketCipher,
} from '../../../../src/listener/ssh/ciphers.ts';
import { encodeMessage, encodeString, encodeUint32 } from '../../../../src/listener/ssh/codec.ts';
import { PacketReader, PacketWriter } from '../../../../src/listener/ssh/packet.ts';
import { ByteReader } from '../../../../src/wire/reader.ts';
import { hex, singleBytes } from '../../support/bytes.ts';
import { memoryPair, sourceOf } from './memory-transport.ts';

const cipherOf = (name: CipherName) => {
  const { keyBytes, ivBytes } = CIPHER_SIZES[name];
  return createPacketCipher(name, Buffer.alloc(keyBytes, 1), Buffer.alloc(ivBytes, 2));
};

const readerOf = (limits: object, ...chunks: readonly Buffer[]) =>
  new PacketReader(new ByteReader(sourceOf(...chunks)), { ...DEFAULT_LIMITS, ...limits });

function writeAll(writer: PacketWriter, payloads: readonly Buffer[]): void {
  for (const payload of payloads) writer.write(payload);
}

/** What a writer puts on the wire. */
function written(write: (writer: PacketWriter) => void, name: CipherName | null = null): Buffer[] {
  const [server, client] = memoryPair();
  const writer = new PacketWriter(server);
  if (name !== null) writer.changeKey(cipherOf(name), true);
  write(writer);
  const chunks: Buffer[] = [];
  for (let chunk = client.tryRead(); chunk !== null; chunk = client.tryRead()) chunks.push(chunk);
  return chunks;
}

describe.each([null, ...CIPHER_NAMES])('packets under %s', (name) => {
  const reader = (...chunks: readonly Buffer[]) => {
    const made = readerOf({}, ...chunks);
    if (name !== null) made.changeKey(cipherOf(name), true);
    return made;
  };

  it('come out as they went in, for every payload length', async () => {
    const payloads = Array.from({ length: 40 }, (_, i) => Buffer.alloc(i + 1, i));
    const chunks = written((writer) => writeAll(writer, payloads), name);
    const packets = reader(...chunks);
    for (const payload of payloads) expect(await packets.read()).toEqual(payload);
  });

  it('may arrive byte by byte', async () => {
    const payload = Buffer.from('some payload');
    const packets = reader(...written((writer) => writer.write(payload), name).flatMap(singleBytes));
    expect(await packets.read()).toEqual(payload);
  });

  it('that end early are a lost connection', async () => {
    const whole = Buffer.concat(written((writer) => writer.write(Buffer.from('some payload')), name));
    for (let end = 0; end < whole.length; end++) {
      await expect(reader(whole.subarray(0, end)).read()).rejects.toThrow(PeerGone);
    }
  });

  it('carry data in parts of the allowed size, in one write while they fit', async () => {
    const data = Buffer.from(Array.from({ length: 131_104 }, (_, i) => i % 251));
    const chunks = written((writer) => writer.writeData(9, data, 32_768), name);
    expect(chunks).toHaveLength(1);
    const packets = reader(...chunks);
    for (let at = 0; at < data.length; at += 32_768) {
      const part = data.subarray(at, at + 32_768);
      expect(await packets.read()).toEqual(encodeMessage(94, encodeUint32(9), encodeString(part)));
    }
  });

  it.each([1, 1023, 8192, 8193, 147_000])('carry %i bytes in parts of 1024', async (length) => {
    const data = Buffer.alloc(length, 5);
    const packets = reader(...written((writer) => writer.writeData(0, data, 1024), name));
    for (let left = length; left > 0; left -= 1024) expect(await packets.read()).toHaveLength(9 + Math.min(left, 1024));
  });
});

describe('PacketReader', () => {
  // 4 (length) + 1 (padding length) + payload + padding, in blocks of 8.
  const plain = (length: number) => Buffer.concat([encodeUint32(length), Buffer.alloc(length, 4)]);

  it.each([
    [1003, 1000],
    [1000, 1000],
  ])('takes a packet when %i bytes are allowed', async (sshPacketBytes, total) => {
    await expect(readerOf({ sshPacketBytes }, plain(total - 4)).read()).resolves.toHaveLength(total - 9);
  });

  it('refuses a packet of one byte more than allowed', async () => {
    const error = await readerOf({ sshPacketBytes: 999 }, plain(996))
      .read()
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LimitError);
    expect((error as LimitError).limit).toBe('sshPacketBytes');
  });

  it('refuses a length of 4 GiB before it allocates', async () => {
    await expect(readerOf({}, hex('ff ff ff fc 00 00')).read()).rejects.toThrow('SSH packet too long');
  });

  it.each([['00 00 00 00'], ['00 00 00 04 03 01 00 00'], ['00 00 00 0d 04 01 00 00 00 00 00 00 00 00 00 00 00']])(
    'refuses the length in %s',
    async (bytes) => {
      await expect(readerOf({}, hex(bytes)).read()).rejects.toThrow('SSH: packet length out of range');
    },
  );

  it.each([3, 11, 255])('refuses a padding of %i in a packet of 12 bytes', async (padding) => {
    const packet = Buffer.concat([encodeUint32(12), Buffer.of(padding), Buffer.alloc(11)]);
    await expect(readerOf({}, packet).read()).rejects.toThrow('SSH: padding length out of range');
  });

  it('takes the longest padding that leaves a message number', async () => {
    const packet = Buffer.concat([encodeUint32(12), Buffer.of(10), Buffer.alloc(11, 7)]);
    expect(await readerOf({}, packet).read()).toEqual(hex('07'));
  });

  it('counts its packets modulo 2^32, from 0 again under a new key when that is agreed', async () => {
    const packets = readerOf({}, plain(12), plain(12), plain(12));
    packets.sequence = 0xffffffff;
    await packets.read();
    expect(packets.sequence).toBe(0);
    await packets.read();
    packets.changeKey(packets.cipher, false);
    expect(packets.sequence).toBe(1);
    packets.changeKey(packets.cipher, true);
    expect([packets.sequence, packets.bytes]).toEqual([0, 0]);
  });

  it('throws nothing but our errors, whatever it is given', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 80 }),
        fc.constantFrom(null, ...CIPHER_NAMES),
        async (bytes, name) => {
          const packets = readerOf({ sshPacketBytes: 64 }, Buffer.from(bytes));
          if (name !== null) packets.changeKey(cipherOf(name), true);
          const thrown = await packets.read().then(
            () => null,
            (error: unknown) => error,
          );
          const isOurs = [LimitError, PeerGone, ProtocolError].some((kind) => thrown instanceof kind);
          expect(thrown === null || isOurs).toBe(true);
        },
      ),
    );
  });
});
