import { describe, expect, it } from 'vitest';
import { PeerGone, ProtocolError } from '../../../src/errors.ts';
import { ByteReader } from '../../../src/wire/reader.ts';
import { everyCut, hex, singleBytes } from '../support/bytes.ts';
import { FakeTransport } from '../support/fake-transport.ts';
import { readerOf, waitingReaderOf } from '../support/streams.ts';
import { isSafe, varints } from './vectors.ts';

/** Reads one value from every cut of the bytes, both from a source that has them and from one that must be waited for. */
async function fromEveryCut<T>(bytes: Buffer, read: (reader: ByteReader) => Promise<T>): Promise<T[]> {
  const values: T[] = [];
  for (const cut of everyCut(bytes)) {
    for (const reader of [readerOf(...cut), waitingReaderOf(...cut)]) {
      values.push(await read(reader));
      expect(reader.available).toBe(0);
      expect(reader.bytesRead).toBe(bytes.length);
    }
  }
  return values;
}

async function expectFromEveryCut<T>(notation: string, read: (reader: ByteReader) => Promise<T>, expected: T) {
  for (const value of await fromEveryCut(hex(notation), read)) expect(value).toEqual(expected);
}

describe('typed reads, cut anywhere', () => {
  it('take bytes, 16-bit and 32-bit integers', async () => {
    const readAll = async (reader: ByteReader) => [
      await reader.readByte('b'),
      await reader.readUint16('u'),
      await reader.readInt32('i'),
    ];
    await expectFromEveryCut('fe | 01 80 | fe ff ff ff', readAll, [254, 0x8001, -2]);
  });

  it.each(varints.varint)('take varint $hex', async ({ value, hex: bytes }) => {
    await expectFromEveryCut(bytes, (reader) => reader.readVarint('v'), value);
  });

  it('take every varlong vector below 2^53', async () => {
    for (const { min_bytes, value, hex: bytes } of varints.varlong.filter((vector) => isSafe(vector.value))) {
      await expectFromEveryCut(bytes, (reader) => reader.readVarlong('v', min_bytes), Number(value));
    }
  });

  it('take every longint vector below 2^53', async () => {
    for (const { value, hex: bytes } of varints.longint.filter((vector) => isSafe(vector.value))) {
      await expectFromEveryCut(bytes, (reader) => reader.readLongint('v'), Number(value));
    }
  });

  it('refuse 64-bit values beyond 2^53', async () => {
    for (const { min_bytes, hex: bytes } of varints.varlong.filter((vector) => !isSafe(vector.value))) {
      await expect(readerOf(hex(bytes)).readVarlong('v', min_bytes)).rejects.toThrow(ProtocolError);
    }
    await expect(readerOf(hex('ffffffff ffffffffffffff7f')).readLongint('v')).rejects.toThrow(ProtocolError);
  });

  it.each(['f8', 'fb', 'fc', 'ff'])(
    'refuse a varint that begins with %s, before its other bytes come',
    async (first) => {
      await expect(new ByteReader(new FakeTransport([hex(first)], 'open')).readVarint('v')).rejects.toThrow(
        ProtocolError,
      );
    },
  );

  it.each([
    [4, 'fc000000'],
    [5, 'f800000000'],
  ])('refuse a varlong of more than 9 bytes (minimum %i)', async (min, bytes) => {
    await expect(readerOf(hex(bytes)).readVarlong('v', min)).rejects.toThrow(ProtocolError);
  });

  it('take vstrings with both forms of length', async () => {
    for (const length of [0, 1, 127, 128, 300]) {
      const text = Buffer.alloc(length, 'x');
      const header = length < 0x80 ? Buffer.from([length]) : Buffer.from([0x80 | (length >> 8), length & 0xff]);
      for (const value of await fromEveryCut(Buffer.concat([header, text]), (r) => r.readVstring('v', 300))) {
        expect(value.equals(text)).toBe(true);
      }
    }
  });

  it('refuse a vstring longer than allowed without waiting for it', async () => {
    const reader = new ByteReader(new FakeTransport([hex('90 00')], 'open'));
    await expect(reader.readVstring('extra name', 4095)).rejects.toThrow('extra name too long');
  });
});

describe('readInt32Between', () => {
  it.each(['ffffffff', '00000080', '0b000000', 'ffffff7f'])('refuses %s outside 0…10', async (bytes) => {
    await expect(readerOf(hex(bytes)).readInt32Between('count', 0, 10)).rejects.toThrow('count out of range');
  });

  it('accepts both ends of the range', async () => {
    const reader = readerOf(hex('00000000 0a000000'));
    expect([await reader.readInt32Between('c', 0, 10), await reader.readInt32Between('c', 0, 10)]).toEqual([0, 10]);
  });
});

describe('readUntil', () => {
  it('finds the delimiter at every cut and leaves what follows', async () => {
    for (const cut of everyCut(hex('"one" 0a "two" 0a "x"'))) {
      const reader = readerOf(...cut);
      const lines = [await reader.readUntil(0x0a, 10, 'line'), await reader.readUntil(0x0a, 10, 'line')];
      expect(lines.map(String)).toEqual(['one', 'two']);
      expect(String(await reader.readBytes(1, 'rest'))).toBe('x');
    }
  });

  it('accepts exactly the maximum and refuses one byte more, at every cut', async () => {
    for (const cut of everyCut(hex('"12345" 0a'))) {
      expect(String(await readerOf(...cut).readUntil(0x0a, 5, 'line'))).toBe('12345');
      await expect(readerOf(...cut).readUntil(0x0a, 4, 'line')).rejects.toThrow('line too long');
    }
  });

  it('does not wait for the delimiter once the maximum has passed', async () => {
    const reader = new ByteReader(new FakeTransport(singleBytes(Buffer.alloc(1100, 'a')), 'open'));
    await expect(reader.readUntil(0x0a, 1022, 'greeting')).rejects.toThrow('greeting too long');
    expect(reader.bytesRead).toBe(1023);
  });

  it('returns memory that later reads do not overwrite', async () => {
    const chunk = hex('"abc" 00 "def" 00');
    const reader = readerOf(chunk);
    const first = await reader.readUntil(0, 10, 'arg');
    chunk.fill(0x7a);
    expect(String(first)).toBe('abc');
  });
});

describe('readBytes and readSome', () => {
  it('collect a count over many chunks', async () => {
    const bytes = Buffer.from(Array.from({ length: 300 }, (_, i) => i & 0xff));
    expect((await readerOf(...singleBytes(bytes)).readBytes(300, 'b')).equals(bytes)).toBe(true);
  });

  it('hand out no more than asked and no more than is there', async () => {
    const reader = readerOf(hex('010203'), hex('04'));
    expect([await reader.readSome(2, 'b'), await reader.readSome(9, 'b'), await reader.readSome(9, 'b')]).toEqual([
      hex('0102'),
      hex('03'),
      hex('04'),
    ]);
  });
});

describe('the end of the stream', () => {
  it('is PeerGone inside a value, with the name of the field', async () => {
    await expect(readerOf(hex('010203')).readInt32('checksum seed')).rejects.toThrow(
      new PeerGone('connection closed while reading checksum seed'),
    );
  });

  it('is an answer where the caller asks for more', async () => {
    const reader = waitingReaderOf(hex('01'));
    expect(await reader.more()).toBe(true);
    await reader.readByte('b');
    expect(await reader.more()).toBe(false);
  });
});

describe('beforeWait', () => {
  it('runs before a wait and not for bytes that have arrived', async () => {
    let flushes = 0;
    const transport = new FakeTransport([hex('0102'), hex('03')], 'open');
    const reader = new ByteReader(transport, () => {
      flushes++;
      transport.feed(hex('04'));
    });
    await reader.readBytes(3, 'b');
    expect(flushes).toBe(0);
    await reader.readByte('b');
    expect(flushes).toBe(1);
  });
});

describe('abort', () => {
  it('ends a wait under way and every later one', async () => {
    const reader = new ByteReader(new FakeTransport([], 'open'));
    const waiting = reader.readByte('b');
    const reason = new Error('clock ran out');
    reader.abort(reason);
    reader.abort(new Error('later'));
    await expect(waiting).rejects.toBe(reason);
    await expect(reader.readByte('b')).rejects.toBe(reason);
    expect(reader.ready).toBe(false);
  });

  it('loses no byte of the read that was under way to the draining that follows', async () => {
    const transport = new FakeTransport([], 'open');
    const reader = new ByteReader(transport);
    const waiting = reader.readByte('b');
    reader.abort(new Error('stop'));
    await expect(waiting).rejects.toThrow('stop');
    const drained = reader.discard(1000);
    transport.feed(hex('010203'));
    transport.end();
    await drained;
    expect(reader.bytesRead).toBe(3);
  });
});

describe('discard', () => {
  it('stops at its bound although the peer never ends', async () => {
    const endless = { tryRead: () => null, read: async () => Buffer.alloc(1000) };
    const reader = new ByteReader(endless);
    await reader.discard(10_000);
    expect(reader.bytesRead).toBe(11_000);
  });

  it('ends with the stream', async () => {
    const reader = waitingReaderOf(hex('01'), hex('02'));
    await reader.discard(1000);
    expect(reader.bytesRead).toBe(2);
  });
});
