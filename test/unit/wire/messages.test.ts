import { describe, expect, it } from 'vitest';
import { ClientMessages } from '../../../src/wire/messages.ts';
import { hex, messagesOf, splitFrames } from '../support/bytes.ts';
import { muxedWriter } from '../support/streams.ts';

const TEXT = Buffer.from('text\n');

/** The messages that `produce` sends at a protocol, as `code:payload`. */
function sentAt(protocol: number, produce: (messages: ClientMessages) => void, maxFileMessages = 100): string[] {
  const { writer, transport } = muxedWriter();
  produce(new ClientMessages(writer, protocol, maxFileMessages));
  writer.flush();
  return messagesOf(transport.sent);
}

const ALL_PROTOCOLS = [27, 28, 29, 30, 31, 32];

/** The code of the only text that `produce` sends, per protocol 27…32. */
function codes(produce: (messages: ClientMessages) => void): (number | null)[] {
  return ALL_PROTOCOLS.map((protocol) => {
    const [first] = sentAt(protocol, produce);
    return first === undefined ? null : Number(first.split(':')[0]);
  });
}

describe('texts', () => {
  it('travel under a code that each protocol knows', () => {
    expect(codes((m) => m.fileError(TEXT))).toEqual([1, 1, 1, 1, 1, 1]);
    expect(codes((m) => m.vanished(TEXT))).toEqual([1, 2, 2, 4, 4, 4]);
    expect(codes((m) => m.warning(TEXT))).toEqual([2, 2, 2, 4, 4, 4]);
    expect(codes((m) => m.info(TEXT))).toEqual([2, 2, 2, 2, 2, 2]);
    expect(codes((m) => m.fatal(TEXT, 4))).toEqual([1, 1, 1, 3, 3, 3]);
  });

  it('of information stay away from a quiet client, errors do not', () => {
    const produce = (m: ClientMessages) => {
      m.setQuiet();
      m.info(TEXT);
      m.warning(TEXT);
      m.fileError(TEXT);
    };
    expect(sentAt(31, produce)).toEqual(['4:text\n', '1:text\n']);
  });

  it.each([
    [29, 1023],
    [30, 5119],
  ])('at protocol %i are cut at %i bytes and still end their line', (protocol, max) => {
    const fits = Buffer.concat([Buffer.alloc(max - 1, 'n'), Buffer.from('\n')]);
    const tooLong = Buffer.concat([Buffer.alloc(max, 'n'), Buffer.from('\n')]);
    const [whole, cut] = sentAt(protocol, (m) => {
      m.fileError(fits);
      m.fileError(tooLong);
    });
    expect(whole).toBe(`1:${fits.toString()}`);
    expect(cut).toBe(`1:${'n'.repeat(max - 4)}...\n`);
    expect(tooLong.at(-1)).toBe(0x0a);
  });

  it('keep bytes that are no UTF-8', () => {
    expect(sentAt(32, (m) => m.fileError(hex('ff fe 0a')))).toEqual(['1:\u00ff\u00fe\n']);
  });
});

describe('messages about files', () => {
  const produce = (count: number) => (m: ClientMessages) => {
    for (let i = 0; i < count; i++) m.fileError(Buffer.from(`${i}\n`));
  };

  it.each([
    [4, ['1:0\n', '1:1\n', '1:2\n', '1:3\n']],
    [5, ['1:0\n', '1:1\n', '1:2\n', '1:3\n', '1:too many messages, the rest is suppressed\n']],
    [1000, ['1:0\n', '1:1\n', '1:2\n', '1:3\n', '1:too many messages, the rest is suppressed\n']],
  ])('are bounded: of %i texts with a limit of 5 the client gets few', (count, expected) => {
    expect(sentAt(31, produce(count), 5)).toEqual(expected);
  });

  it('do not use up the right to a last word', () => {
    const sent = sentAt(
      31,
      (m) => {
        produce(10)(m);
        m.fatal(TEXT, 12);
      },
      3,
    );
    expect(sent.slice(-2)).toEqual(['3:text\n', '86:\f\0\0\0']);
  });
});

describe('words for the client', () => {
  it('are left out where the protocol lacks them', () => {
    expect(codes((m) => m.noSend(7))).toEqual([null, null, null, 102, 102, 102]);
    expect(codes((m) => m.ioErrorWord(3))).toEqual([null, null, null, 22, 22, 22]);
    expect(codes((m) => m.ioTimeout(600))).toEqual([null, null, null, null, 33, 33]);
    expect(codes((m) => m.acknowledgeExit())).toEqual([null, null, null, null, 86, 86]);
  });

  it('are four bytes little-endian, the answer to an exit none', () => {
    const { writer, transport } = muxedWriter();
    const messages = new ClientMessages(writer, 32, 10);
    messages.noSend(0x01020304);
    messages.ioErrorWord(3);
    messages.ioTimeout(77);
    messages.acknowledgeExit();
    writer.flush();
    expect(transport.sent).toEqual(hex('0400006d 04030201 | 0400001d 03000000 | 04000028 4d000000 | 0000005d'));
  });

  it('end a failed session with the exit code from protocol 31 on, never with an empty code', () => {
    const { writer, transport } = muxedWriter();
    new ClientMessages(writer, 31, 10).fatal(TEXT, 1);
    writer.flush();
    expect(splitFrames(transport.sent).at(-1)).toEqual({ code: 86, payload: hex('01000000') });
    expect(sentAt(30, (m) => m.fatal(TEXT, 1))).toEqual(['3:text\n']);
  });
});
