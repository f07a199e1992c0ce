import { describe, expect, it } from 'vitest';
import { LimitError, PeerGone, ProtocolError } from '../../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { type ArgumentLists, readArguments, readSecludedArguments } from '../../../src/session/arguments.ts';
import { byteScript } from '../../helpers/byte-script.ts';

const texts = ({ first, second }: ArgumentLists) => [first.map(String), second?.map(String) ?? null];
const nul = (...args: string[]) => args.map((arg) => `${arg}\0`).join('');

async function read(wire: string, protocol = 32, limits = DEFAULT_LIMITS) {
  return texts(await readArguments(byteScript(wire), protocol, limits));
}

describe('the argument list', () => {
  it('ends arguments with NUL from protocol 30 on', async () => {
    expect(await read(nul('--server', '.', 'a\nb', ''))).toEqual([['--server', '.', 'a\nb'], null]);
  });

  it('ends arguments with a line feed below protocol 30', async () => {
    expect(await read('--server\n.\npub/\n\n', 29)).toEqual([['--server', '.', 'pub/'], null]);
  });

  it('ends arguments with a carriage return as well below protocol 30', async () => {
    expect(await read('--server\n.\na\rb\n\n', 29)).toEqual([['--server', '.', 'a', 'b'], null]);
  });

  it.each(['a\r\n\n', 'a\r\rb\n\n', '\r\n'])('refuses the end of the list inside the line %j', async (wire) => {
    await expect(read(wire, 29)).rejects.toThrow(ProtocolError);
  });

  it('refuses NUL bytes below protocol 30', async () => {
    await expect(read('a\0b\n\n', 29)).rejects.toThrow(ProtocolError);
  });

  it('may be empty', async () => {
    expect(await read('\0')).toEqual([[], null]);
  });

  it.each([1, 2, 3, 5, 8])('arrives in pieces of %i bytes', async (size) => {
    const source = byteScript(nul('--server', '-s', '', 'rsync', '.', 'x', ''), size);
    expect(texts(await readArguments(source, 32, DEFAULT_LIMITS))).toEqual([
      ['--server', '-s'],
      ['.', 'x'],
    ]);
  });

  it('leaves what follows', async () => {
    const source = byteScript(`${nul('.', '')}rest`);
    await readArguments(source, 32, DEFAULT_LIMITS);
    expect((await source.readBytes(4, 'rest')).toString()).toBe('rest');
  });

  it('ends with the connection', async () => {
    await expect(read(nul('--server'))).rejects.toThrow(PeerGone);
  });
});

describe('the list behind -s', () => {
  it('loses its dummy first argument', async () => {
    expect(await read(nul('--server', '-sr', '', 'rsync', '.', 'a b', ''))).toEqual([
      ['--server', '-sr'],
      ['.', 'a b'],
    ]);
  });

  it('is read with NULs below protocol 30, behind the stray end of the first list', async () => {
    const wire = `--server\n-sr\n(null)\n.\npub/a b\n\n${nul('rsync', '.', 'pub/a\nb', '')}`;
    expect((await read(wire, 29))[1]).toEqual(['.', 'pub/a\nb']);
  });

  it('is not waited for because of a capability', async () => {
    expect((await read(nul('--server', '-re.iLsf', '.', '')))[1]).toBeNull();
  });

  it('may be missing all arguments', async () => {
    expect(await read(nul('-s', '', ''))).toEqual([['-s'], []]);
  });

  it('is the only one on the connection over a remote shell', async () => {
    expect(String(await readSecludedArguments(byteScript(nul('rsync', '.', 'x', '')), DEFAULT_LIMITS))).toBe('.,x');
  });
});

describe('bounds', () => {
  const limit = (name: string) => expect.objectContaining({ constructor: LimitError, limit: name });
  const many = (count: number) => nul(...Array<string>(count).fill('x'), '');

  it.each([999, 1000])('accepts %i arguments', async (count) => {
    expect((await read(many(count)))[0]).toHaveLength(count);
  });

  it('refuses 1001 arguments', async () => {
    await expect(read(many(1001))).rejects.toEqual(limit('args'));
  });

  it('counts both lists together', async () => {
    await expect(read(`${nul('-s', '', 'rsync')}${many(999)}`)).rejects.toEqual(limit('args'));
  });

  it('accepts an argument of the longest length', async () => {
    expect((await read(nul('a'.repeat(5119), '')))[0]).toHaveLength(1);
  });

  it('refuses an argument that is one byte longer, without waiting for its end', async () => {
    await expect(read('a'.repeat(5120))).rejects.toEqual(limit('argBytes'));
  });

  it('refuses lists that are too long together', async () => {
    const limits = { ...DEFAULT_LIMITS, argsTotalBytes: 20 };
    await expect(read(nul('-s', '', 'rsync', 'x'.repeat(20), ''), 32, limits)).rejects.toEqual(limit('argsTotalBytes'));
  });
});
