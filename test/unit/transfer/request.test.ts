import { describe, expect, it } from 'vitest';
import { PeerGone, ProtocolError } from '../../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { putItem, readRequest } from '../../../src/transfer/request.ts';
import { NdxDecoder, NdxEncoder } from '../../../src/wire/ndx.ts';
import { ByteReader } from '../../../src/wire/reader.ts';
import { everyCut, hex } from '../support/bytes.ts';
import { FakeTransport } from '../support/fake-transport.ts';
import { readerOf, waitingReaderOf, written } from '../support/streams.ts';

const NAME = Buffer.alloc(4095, 'x');

/** Requests that clients send, without their index (3-transfer.md 2.2). */
const FORMS: readonly (readonly [what: string, bytes: Buffer])[] = [
  ['new file', hex('00a0')],
  ['changed file', hex('0c80')],
  ['directory time', hex('0800')],
  ['nothing to report', hex('0000')],
  ['hard link', hex('0070 02 "h3"')],
  ['hard link that is up to date', hex('0050 00')],
  ['fuzzy basis', hex('00b8 83 0c "report-1.txt"')],
  ['copied from another directory', hex('0c88 00')],
  ['partial file', hex('00a8 81')],
  ['in-place backup', hex('0c88 82')],
  ['longest name', Buffer.concat([hex('0010 8fff'), NAME])],
];

const read = (reader: ByteReader, protocol = 31) => readRequest(reader, 7, protocol, DEFAULT_LIMITS);

describe('a request', () => {
  it.each(FORMS)('is read at every cut and repeated byte by byte: %s', async (_, bytes) => {
    const cuts = bytes.length > 100 ? [[bytes], everyCut(bytes)[1]!] : everyCut(bytes);
    for (const cut of cuts) {
      for (const reader of [readerOf(...cut), waitingReaderOf(...cut)]) {
        const request = await read(reader);
        expect(reader.bytesRead).toBe(bytes.length);
        for (const protocol of [29, 30, 32]) {
          const echo = written((writer) => putItem(writer, new NdxEncoder(protocol), request, protocol));
          expect(echo).toEqual(Buffer.concat([protocol < 30 ? hex('07000000') : hex('08'), bytes]));
        }
      }
    }
  });

  it('names its basis, which is the file itself where nothing else is said', async () => {
    expect((await read(readerOf(hex('00a0')))).basisType).toBe(0x80);
    expect((await read(readerOf(hex('00a8 81')))).basisType).toBe(0x81);
  });

  it('below protocol 29 is a bare index for a transfer', async () => {
    for (const protocol of [27, 28]) {
      const reader = readerOf();
      const request = await read(reader, protocol);
      expect(request).toEqual({ ndx: 7, iflags: 0x8000, basisType: 0x80, xname: null });
      expect(written((writer) => putItem(writer, new NdxEncoder(protocol), request, protocol))).toEqual(
        hex('07000000'),
      );
    }
  });

  it('with an extra name of 4096 bytes is refused before the name comes', async () => {
    const reader = new ByteReader(new FakeTransport([hex('0010 9000')], 'open'));
    await expect(read(reader)).rejects.toThrow(ProtocolError);
  });

  it('cut off anywhere is PeerGone', async () => {
    for (const [, bytes] of FORMS.filter(([, whole]) => whole.length < 100)) {
      for (let at = 0; at < bytes.length; at++) {
        await expect(read(readerOf(bytes.subarray(0, at)))).rejects.toThrow(PeerGone);
      }
    }
  });
});

describe('answers', () => {
  it('code their indexes in a state of their own, as captured', async () => {
    const encoder = new NdxEncoder(31);
    const decoder = new NdxDecoder(31);
    const client = readerOf(hex('04 01 fe80020000 fe80010000'));
    const all: Buffer[] = [];
    for (let i = 0; i < 4; i++) {
      const ndx = await decoder.read(client);
      all.push(written((writer) => putItem(writer, encoder, { ndx, iflags: 8, basisType: 0x80, xname: null }, 31)));
    }
    expect(Buffer.concat(all)).toEqual(hex('04 0800 | 01 0800 | fe80020000 0800 | fe80010000 0800'));
  });
});
