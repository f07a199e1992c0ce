import { describe, expect, it } from 'vitest';
import { AccessError, PeerGone, ProtocolError } from '../../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import {
  exchangeGreeting,
  moduleListing,
  motdText,
  negotiateProtocol,
  parseGreeting,
  readLine,
  readModuleRequest,
} from '../../../src/session/greeting.ts';
import { byteScript, textSink } from '../../helpers/byte-script.ts';

/** The `@ERROR` line that an action ends in. */
async function refusalOf(action: () => unknown): Promise<string | undefined> {
  try {
    await action();
  } catch (error) {
    if (error instanceof AccessError) return error.tell;
    throw error;
  }
  return undefined;
}

const greet = (line: string) => parseGreeting(Buffer.from(line, 'latin1'));
const request = (bytes: string) => readModuleRequest(byteScript(bytes), DEFAULT_LIMITS);

describe('the client greeting', () => {
  it.each([
    ['@RSYNCD: 27', { version: 27, protocol: 27, digests: null }],
    ['@RSYNCD: 29', { protocol: 29, digests: null }],
    ['@RSYNCD: 29.0 md5', { protocol: 29, digests: ['md5'] }],
    ['@RSYNCD: 29 SHA512 md5', { protocol: 29, digests: ['sha512', 'md5'] }],
    ['@RSYNCD: 30.0', { protocol: 30, digests: null }],
    ['@RSYNCD: 31.0 sha512 md5', { protocol: 31, digests: ['sha512', 'md5'] }],
    ['@RSYNCD: 32.0 sha512', { protocol: 32, digests: ['sha512'] }],
    ['@RSYNCD: 32.0 ', { protocol: 32, digests: [] }],
    ['@RSYNCD: 40.0 md5', { version: 40, protocol: 32 }],
    ['@RSYNCD: 31.0\tmd5', { protocol: 31, digests: null }],
  ])('reads %j', (line, greeting) => {
    expect(greet(line)).toMatchObject(greeting);
  });

  it.each([
    ['@RSYNCD: 31', 'your client omitted the subprotocol value: @RSYNCD: 31'],
    ['@RSYNCD: 31.x', 'your client omitted the subprotocol value: @RSYNCD: 31.x'],
    ['@RSYNCD: 31.-1', 'your client omitted the subprotocol value: @RSYNCD: 31.-1'],
    ['@RSYNCD: 32.0', 'your client omitted the digest name list: @RSYNCD: 32.0'],
    ['@RSYNCD: abc', 'protocol startup error'],
    ['@RSYNCD: -5', 'protocol startup error'],
    ['GET / HTTP/1.1', 'protocol startup error'],
    ['', 'protocol startup error'],
    ['@RSYNCD: 26', 'protocol version mismatch'],
    ['@RSYNCD: 27.3', 'protocol version mismatch'],
    ['@RSYNCD: 41.0 md5', 'protocol version mismatch'],
    ['@RSYNCD: 999999999999.0 md5', 'protocol version mismatch'],
  ])('refuses %j', async (line, tell) => {
    expect(await refusalOf(() => greet(line))).toBe(`@ERROR: ${tell}`);
  });

  it('echoes no control bytes and no endless line', async () => {
    const tell = (await refusalOf(() => greet(`@RSYNCD: 31\x1b${'x'.repeat(900)}`))) ?? '';
    expect(tell).toContain('31\\#033xxx');
    expect(tell.length).toBeLessThan(400);
  });

  it.each([
    [33, 1, 32],
    [32, 0, 32],
    [32, 9, 31],
    [31, 0, 31],
    [31, 14, 30],
    [30, 9, 29],
  ])('agrees with %i.%i on protocol %i', (version, sub, protocol) => {
    expect(negotiateProtocol(version, sub)).toBe(protocol);
  });
});

describe('exchanging greetings', () => {
  const GREETING = '@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4\n';

  it('writes first, then reads', async () => {
    const sink = textSink();
    await expect(exchangeGreeting(byteScript(''), sink, null, DEFAULT_LIMITS)).rejects.toThrow(PeerGone);
    expect(sink.text).toBe(GREETING);
  });

  it('sends the message of the day behind the greeting', async () => {
    const sink = textSink();
    await exchangeGreeting(byteScript('@RSYNCD: 29\n'), sink, Buffer.from('Hello\n'), DEFAULT_LIMITS);
    expect(sink.text).toBe(`${GREETING}Hello\n\n`);
  });

  it('leaves what follows the line, as openrsync sends its module at once', async () => {
    const source = byteScript('@RSYNCD: 27\npub\n');
    await exchangeGreeting(source, textSink(), null, DEFAULT_LIMITS);
    expect((await source.readUntil(0x0a, 9, 'rest')).toString()).toBe('pub');
  });

  it.each([
    ['\n@RSYNCD: EXIT\n', '\n @RSYNCD: EXIT\n\n'],
    ['@ERROR now', ' @ERROR now\n'],
    ['a @ERROR', 'a @ERROR\n'],
  ])('moves lines of %j that clients would take for the protocol', (motd, sent) => {
    expect(motdText(Buffer.from(motd), DEFAULT_LIMITS).toString()).toBe(sent);
  });

  it('cuts a message of the day at its limit', () => {
    expect(motdText(Buffer.from('abcdef'), { motdBytes: 3 }).toString()).toBe('abc\n');
  });
});

describe('lines', () => {
  it('drops carriage returns anywhere', async () => {
    expect((await readLine(byteScript('a\rb\r\n'), DEFAULT_LIMITS, 'lineBytes', 'line')).toString()).toBe('ab');
  });

  it('refuses NUL bytes', async () => {
    await expect(readLine(byteScript('a\0b\n'), DEFAULT_LIMITS, 'lineBytes', 'line')).rejects.toThrow(ProtocolError);
  });

  it('takes 1022 bytes and no more', async () => {
    const line = 'a'.repeat(DEFAULT_LIMITS.lineBytes);
    expect(await request(`${line}\n`)).toEqual({ kind: 'module', name: Buffer.from(line) });
    await expect(request(`${line}a\n`)).rejects.toThrow(ProtocolError);
  });
});

describe('the module request', () => {
  it.each(['\n', '#list\n', '\r\n', '#early_input=3\nabc#list\n'])('lists the modules for %j', async (bytes) => {
    expect(await request(bytes)).toEqual({ kind: 'list' });
  });

  it('takes the name byte by byte', async () => {
    expect(await request(' pub/\xff\n')).toEqual({ kind: 'module', name: Buffer.from(' pub/\xff', 'latin1') });
  });

  it('drops early input of the largest size', async () => {
    expect(await request(`#early_input=5120\n${'x'.repeat(5120)}pub\n`)).toEqual({
      kind: 'module',
      name: Buffer.from('pub'),
    });
  });

  it.each(['0', '5121', '-1', 'abc', '', '3x'])('refuses early input of length "%s"', async (length) => {
    expect(await refusalOf(() => request(`#early_input=${length}\nabc`))).toBe('@ERROR: invalid early_input length');
  });

  it.each(['#LIST', '#foo', '#early_inputs=3'])('refuses the command %s', async (line) => {
    expect(await refusalOf(() => request(`${line}\n`))).toBe(`@ERROR: Unknown command '${line}'`);
  });

  it('takes early input once', async () => {
    const answer = await refusalOf(() => request('#early_input=1\na#early_input=1\nbpub\n'));
    expect(answer).toBe("@ERROR: Unknown command '#early_input=1'");
  });
});

describe('the module list', () => {
  it('pads names to 15 bytes and never cuts them', () => {
    const modules = [
      { name: 'pub', comment: 'Public files' },
      { name: 'a-very-long-module-name', comment: '' },
    ];
    const text = 'pub            \tPublic files\na-very-long-module-name\t\n@RSYNCD: EXIT\n';
    expect(moduleListing(modules, DEFAULT_LIMITS).toString()).toBe(text);
  });

  it('leaves out what does not fit, whole lines at a time', () => {
    const modules = ['a', 'b', 'c'].map((name) => ({ name, comment: 'x' }));
    const listing = moduleListing(modules, { listingBytes: 14 + 18 + 17 });
    expect(listing.toString()).toBe(`a${' '.repeat(14)}\tx\n@RSYNCD: EXIT\n`);
  });
});
