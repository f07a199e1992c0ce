import { describe, expect, it } from 'vitest';
import { EXIT, LimitError, PeerGone, ProtocolError } from '../../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { ClientExit, DemuxSource } from '../../../src/wire/demux.ts';
import { ByteReader } from '../../../src/wire/reader.ts';
import { everyCut, frame, hex, singleBytes } from '../support/bytes.ts';
import { FakeTransport } from '../support/fake-transport.ts';
import { readerOf, waitingReaderOf } from '../support/streams.ts';

const DATA = 0;
const NOOP = 42;
const ERROR_EXIT = 86;

function demuxOf(raw: ByteReader, limits = {}): { source: DemuxSource; reader: ByteReader } {
  const source = new DemuxSource(raw, { ...DEFAULT_LIMITS, ...limits });
  return { source, reader: new ByteReader(source) };
}

/** All data of a multiplexed stream. */
async function drain(reader: ByteReader): Promise<Buffer> {
  const parts: Buffer[] = [];
  while (await reader.more()) parts.push(Buffer.from(await reader.readSome(1 << 20, 'data')));
  return Buffer.concat(parts);
}

async function failureOf(...chunks: Buffer[]): Promise<unknown> {
  return drain(demuxOf(readerOf(...chunks)).reader).catch((error: unknown) => error);
}

describe('data frames', () => {
  const stream = Buffer.concat([frame(DATA, hex('01')), frame(DATA), frame(NOOP), frame(DATA, hex('02 03 04 05 06'))]);

  it('make one stream whatever the cuts and whatever stands between them', async () => {
    for (const cut of everyCut(stream)) {
      for (const raw of [readerOf(...cut), waitingReaderOf(...cut)]) {
        expect(await drain(demuxOf(raw).reader)).toEqual(hex('01 02 03 04 05 06'));
      }
    }
  });

  it('may split an integer', async () => {
    const { reader } = demuxOf(readerOf(frame(DATA, hex('01 00')), frame(NOOP), frame(DATA, hex('00 80'))));
    expect(await reader.readInt32('n')).toBe(-0x7fffffff);
  });

  it('of 2^24-1 bytes are passed on as they come, without memory for the announced length', async () => {
    const transport = new FakeTransport([frame(DATA, Buffer.alloc(10, 7), 0xffffff)], 'open');
    const { reader, source } = demuxOf(new ByteReader(transport));
    expect((await reader.readSome(1 << 24, 'data')).length).toBe(10);
    expect(source.atFrameBoundary).toBe(false);
  });

  it('let the stream be read raw behind them, at their boundary only', async () => {
    const raw = readerOf(...singleBytes(Buffer.concat([frame(DATA, hex('00000000')), hex('"name" 00')])));
    const { reader, source } = demuxOf(raw);
    await reader.readUint16('half');
    expect(source.atFrameBoundary).toBe(false);
    await reader.readUint16('half');
    expect(source.atFrameBoundary).toBe(true);
    expect(String(await raw.readUntil(0, 10, 'name'))).toBe('name');
  });

  it('hand over what has arrived without waiting', () => {
    const { reader } = demuxOf(readerOf(Buffer.concat([frame(DATA), frame(DATA, hex('05'))])));
    expect(reader.ready).toBe(true);
    expect(reader.available).toBe(1);
  });

  it('are not taken in one go past a message, which must be acted on first', async () => {
    const { reader } = demuxOf(readerOf(Buffer.concat([frame(ERROR_EXIT, hex('17000000')), frame(DATA, hex('05'))])));
    expect(reader.ready).toBe(false);
    await expect(reader.readByte('b')).rejects.toThrow(ClientExit);
  });
});

describe('the end of the stream', () => {
  it('between frames is the end of the data', async () => {
    expect(await drain(demuxOf(readerOf(frame(DATA, hex('01')))).reader)).toEqual(hex('01'));
  });

  it('inside a header or a frame is PeerGone, at every offset', async () => {
    const whole = frame(DATA, hex('010203'));
    for (let at = 1; at < whole.length; at++) expect(await failureOf(whole.subarray(0, at))).toBeInstanceOf(PeerGone);
    const message = frame(ERROR_EXIT, hex('01000000'));
    for (let at = 1; at < message.length; at++) {
      expect(await failureOf(message.subarray(0, at))).toBeInstanceOf(PeerGone);
    }
  });
});

describe('MSG_ERROR_EXIT', () => {
  it.each([
    [hex('17000000'), 23],
    [hex(''), 0],
    [hex('ffffffff'), -1],
  ])('with payload %o ends the session with the client’s code', async (payload, code) => {
    for (const cut of everyCut(frame(ERROR_EXIT, payload))) {
      const error = await failureOf(...cut);
      expect(error).toBeInstanceOf(ClientExit);
      expect((error as ClientExit).clientCode).toBe(code);
    }
  });

  it('of any other length is an error of the stream', async () => {
    const error = await failureOf(frame(ERROR_EXIT, hex('170000')));
    expect(error).toBeInstanceOf(ProtocolError);
    expect((error as ProtocolError).exit).toBe(EXIT.STREAM_IO);
  });
});

describe('hostile messages', () => {
  const codes = Array.from({ length: 256 }, (_, header) => header - 7).filter((code) => code !== DATA);

  it('of 2^24-1 bytes are refused for every code before their payload comes', async () => {
    for (const code of codes) {
      const { reader } = demuxOf(new ByteReader(new FakeTransport([frame(code, hex(''), 0xffffff)], 'open')));
      await expect(reader.readByte('b'), `code ${code}`).rejects.toThrow('message of 16777215 bytes');
    }
  });

  it('with codes that no client may send are refused, empty or not', async () => {
    for (const code of codes.filter((known) => known !== NOOP && known !== ERROR_EXIT)) {
      for (const payload of [hex(''), hex('01000000')]) {
        const error = await failureOf(frame(code, payload));
        expect(error, `code ${code}`).toBeInstanceOf(ProtocolError);
        expect((error as ProtocolError).exit).toBe(EXIT.STREAM_IO);
      }
    }
  });

  it('of the longest length allowed are read, one byte more is not', async () => {
    const max = DEFAULT_LIMITS.messageBytes;
    expect(String(await failureOf(frame(4, Buffer.alloc(max))))).toContain('unexpected message code 4');
    expect(String(await failureOf(frame(4, Buffer.alloc(max + 1))))).toContain(`message of ${max + 1} bytes`);
  });

  it('NOOP with a payload is refused', async () => {
    expect(await failureOf(frame(NOOP, hex('00')))).toBeInstanceOf(ProtocolError);
  });

  it.each([
    ['NOOP messages', frame(NOOP)],
    ['empty data frames', frame(DATA)],
  ])('%s pass up to the limit of a second; one more ends the session', async (_, one) => {
    const limits = { messagesPerSecond: 50 };
    const flood = (count: number) =>
      Buffer.concat([...Array.from({ length: count }, () => one), frame(DATA, hex('2a'))]);
    expect(await demuxOf(readerOf(flood(50)), limits).reader.readByte('b')).toBe(42);
    const error = await demuxOf(readerOf(flood(51)), limits)
      .reader.readByte('b')
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LimitError);
    expect((error as LimitError).limit).toBe('messagesPerSecond');
  });

  it('40 000 NOOPs at once neither recurse nor pass', async () => {
    const flood = Buffer.concat(Array.from({ length: 40_000 }, () => frame(NOOP)));
    expect(await failureOf(flood)).toBeInstanceOf(LimitError);
  });

  it('are reported without any byte of theirs', async () => {
    const error = (await failureOf(frame(9, Buffer.from('\u001b[2Jevil')))) as ProtocolError;
    expect(error.tell).not.toContain('evil');
  });
});
