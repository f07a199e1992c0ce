import { describe, expect, it } from 'vitest';
import { acquireChunk, CHUNK_BYTES, SLOTS } from '../../../src/wire/chunk.ts';
import { CHUNK_SIZE } from '../../../src/wire/constants.ts';
import { FrameWriter } from '../../../src/wire/writer.ts';
import { dataOf, hex, splitFrames } from '../support/bytes.ts';
import { FakeTransport } from '../support/fake-transport.ts';
import { muxedWriter, written } from '../support/streams.ts';

/** Bytes that differ from their neighbours at every period below 251. */
function pattern(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => i % 251));
}

describe('typed values', () => {
  it('stand one behind the other in wire order', () => {
    const bytes = written((writer) => {
      writer.putByte(0x1ff);
      writer.putUint16(0x8001);
      writer.putInt32(-2);
      writer.putLongint(-1);
      writer.putVarint(0x1ff);
      writer.putVarlong(116041, 3);
      writer.putVstring(Buffer.from('ab'));
      writer.putBytes(hex('0102'));
      writer.putWith(4, (buffer, at) => buffer.writeUInt8(9, at));
      writer.reserve(2).set(hex('0a0b'));
    });
    const expected = 'ff | 01 80 | feffffff | ffffffff ffffffffffffffff | 81ff | c1 49 c5 | 02 "ab" | 0102 | 09 | 0a0b';
    expect(bytes).toEqual(hex(expected.replace('c1 49 c5', '01 49 c5')));
  });

  it('write vstring lengths from 128 on in two bytes', () => {
    const text = pattern(300);
    expect(written((writer) => writer.putVstring(text))).toEqual(Buffer.concat([hex('812c'), text]));
  });
});

describe('raw output', () => {
  it('has no frames, however much it is', () => {
    const bytes = pattern(3 * CHUNK_BYTES + 17);
    expect(written((writer) => writer.putBytes(bytes)).equals(bytes)).toBe(true);
  });

  it('stays in front of the frames that follow it', () => {
    const transport = new FakeTransport();
    const writer = new FrameWriter(transport, 1000);
    writer.putInt32(7);
    writer.startMux();
    writer.putByte(1);
    writer.flush();
    expect(transport.sent).toEqual(hex('07000000 | 01000007 01'));
  });
});

describe('frames', () => {
  it('gather what is put between two flushes', () => {
    const { writer, transport } = muxedWriter();
    writer.putByte(1);
    writer.putInt32(2);
    writer.flush();
    writer.flush();
    writer.putByte(3);
    writer.flush();
    expect(transport.sent).toEqual(hex('05000007 0102000000 | 01000007 03'));
  });

  it('carry at most 64 KiB each and all bytes in order', () => {
    const { writer, transport } = muxedWriter();
    const bytes = pattern(500_000);
    for (let at = 0; at < bytes.length; at += 997) writer.putBytes(bytes.subarray(at, at + 997));
    writer.flush();
    expect(dataOf(transport.sent).equals(bytes)).toBe(true);
    for (const { payload } of splitFrames(transport.sent)) {
      expect(payload.length).toBeGreaterThan(0);
      expect(payload.length).toBeLessThanOrEqual(65_536);
    }
  });

  it('fill output memory to its last byte without a break', () => {
    // Sizes around the end of a chunk, so that header and payload meet the boundary in every way.
    for (let left = 0; left < 12; left++) {
      const { writer, transport } = muxedWriter();
      const parts = [pattern(65_532), pattern(65_532 - 4 - left), hex('0102'), hex('030405060708'), pattern(9)];
      for (const part of parts) writer.putBytes(part);
      writer.flush();
      expect(dataOf(transport.sent).equals(Buffer.concat(parts))).toBe(true);
    }
  });

  it('that somebody else has made go out as they are, in place or copied to output memory', () => {
    const { writer, transport } = muxedWriter();
    const foreign = pattern(3 * CHUNK_BYTES + 17);
    writer.putByte(1);
    writer.putFrames(foreign);
    writer.putByte(2);
    writer.copyFrames(foreign.length, (into, offset) => into.set(foreign.subarray(offset, offset + into.length)));
    writer.putByte(3);
    writer.flush();
    const own = (byte: number) => Buffer.of(1, 0, 0, 7, byte);
    expect(transport.sent.equals(Buffer.concat([own(1), foreign, own(2), foreign, own(3)]))).toBe(true);
  });

  it('end at a message, which stands between them whole', () => {
    const { writer, transport } = muxedWriter();
    writer.putByte(1);
    writer.putMessage(3, Buffer.from('no\n'));
    writer.putByte(2);
    writer.flush();
    expect(transport.sent).toEqual(hex('01000007 01 | 0300000a "no" 0a | 01000007 02'));
  });

  it('are never left empty by a message at the start', () => {
    const { writer, transport } = muxedWriter();
    writer.putMessage(22, hex('01000000'));
    writer.putWith(6, (_, at) => at);
    writer.flush();
    expect(transport.sent).toEqual(hex('0400001d 01000000'));
  });

  it('are not torn by a message of the longest kind at the end of output memory', () => {
    const { writer, transport } = muxedWriter();
    const data = pattern(CHUNK_BYTES - 2000);
    writer.putBytes(data);
    writer.putMessage(1, Buffer.alloc(5119, 0x41));
    writer.putBytes(hex('01'));
    writer.flush();
    expect(splitFrames(transport.sent).filter(({ code }) => code === 1)).toEqual([
      { code: 1, payload: Buffer.alloc(5119, 0x41) },
    ]);
    expect(dataOf(transport.sent).equals(Buffer.concat([data, hex('01')]))).toBe(true);
  });

  it('reserved for the longest literal token are contiguous and in place', () => {
    const { writer, transport } = muxedWriter();
    const tokens = Array.from({ length: 9 }, (_, i) => Buffer.alloc(CHUNK_SIZE + 4, i + 1));
    for (const token of tokens) writer.reserve(token.length).set(token);
    writer.flush();
    expect(dataOf(transport.sent).equals(Buffer.concat(tokens))).toBe(true);
  });
});

describe('keepAlive', () => {
  it('sends an empty data frame at once', () => {
    const { writer, transport } = muxedWriter();
    writer.keepAlive();
    expect(transport.sent).toEqual(hex('00000007'));
  });

  it('takes along what was waiting', () => {
    const { writer, transport } = muxedWriter();
    writer.putByte(5);
    writer.keepAlive();
    expect(transport.sent).toEqual(hex('01000007 05 | 00000007'));
  });
});

describe('putLiteralChunk', () => {
  it.each([
    [1, [1]],
    [CHUNK_SIZE, [CHUNK_SIZE]],
    [CHUNK_SIZE + 1, [CHUNK_SIZE, 1]],
    [SLOTS * CHUNK_SIZE, Array.from({ length: SLOTS }, () => CHUNK_SIZE)],
  ])('sends %i bytes as one token a frame', (length, sizes) => {
    const { writer, transport } = muxedWriter();
    const bytes = pattern(length);
    const chunk = acquireChunk();
    for (let slot = 0; slot * CHUNK_SIZE < length; slot++) {
      bytes.copy(chunk.slots[slot]!, 0, slot * CHUNK_SIZE);
    }
    writer.putByte(0xee);
    writer.putLiteralChunk(chunk, length);
    writer.putByte(0xdd);
    writer.flush();
    const [before, ...frames] = splitFrames(transport.sent);
    const after = frames.pop();
    expect([before?.payload, after?.payload]).toEqual([hex('ee'), hex('dd')]);
    expect(frames.map(({ payload }) => payload.readInt32LE(0))).toEqual(sizes);
    expect(Buffer.concat(frames.map(({ payload }) => payload.subarray(4))).equals(bytes)).toBe(true);
  });
});

describe('memory and back pressure', () => {
  it('keeps queued bytes unchanged until the transport releases them', () => {
    const transport = new FakeTransport();
    transport.holdsWrites = true;
    const writer = new FrameWriter(transport, 1000);
    const bytes = pattern(4 * CHUNK_BYTES);
    writer.putBytes(bytes);
    writer.flush();
    transport.take(100);
    expect(transport.sent.equals(bytes)).toBe(true);
  });

  it('is under pressure above the bound and drains to half of it', async () => {
    const transport = new FakeTransport();
    transport.holdsWrites = true;
    const writer = new FrameWriter(transport, 100);
    for (const size of [50, 50]) {
      writer.putBytes(pattern(size));
      writer.flush();
    }
    expect(writer.pressure).toBe(false);
    writer.putByte(1);
    writer.flush();
    expect(writer.pressure).toBe(true);
    let drained = false;
    const waiting = writer.drain().then(() => {
      drained = true;
    });
    transport.take(1);
    await Promise.resolve();
    expect(drained).toBe(false);
    transport.take(1);
    await waiting;
    expect(transport.queuedBytes).toBe(1);
  });

  it('counts what went out, frame headers included', () => {
    const { writer, transport } = muxedWriter();
    writer.putBytes(pattern(70_000));
    writer.putMessage(2, Buffer.from('x'));
    writer.flush();
    expect(writer.bytesWritten).toBe(transport.sent.length);
  });
});
