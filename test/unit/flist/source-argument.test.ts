import { describe, expect, it } from 'vitest';
import { EXIT, UsageError } from '../../../src/errors.ts';
import { parseSourceArgument } from '../../../src/flist/source-argument.ts';

function parsed(text: string, relative: boolean): [string, string, string, boolean] {
  const { base, name, kind, leadingDot } = parseSourceArgument(Buffer.from(text), relative);
  return [String(base), String(name), kind, leadingDot];
}

describe('a plain argument', () => {
  it.each([
    ['', '', '.', 'dot'],
    ['.', '', '.', 'dot'],
    ['./', '', '.', 'dot'],
    ['/', '', '.', 'dot'],
    ['a', '', 'a', 'normal'],
    ['a/', 'a', '.', 'dot'],
    ['a/.', 'a', '.', 'dot'],
    ['a/./', 'a', '.', 'dot'],
    ['a/b', 'a', 'b', 'normal'],
    ['a//b//c', 'a/b', 'c', 'normal'],
    ['a/./b', 'a', 'b', 'normal'],
    ['a/b/', 'a/b', '.', 'dot'],
    ['.a', '', '.a', 'normal'],
    ['a.', '', 'a.', 'normal'],
    ['a/..b', 'a', '..b', 'normal'],
  ])('%j starts in %j and lists %j as %s', (text, base, name, kind) => {
    expect(parsed(text, false)).toEqual([base, name, kind, false]);
  });

  it('keeps bytes that are no UTF-8', () => {
    const { base, name } = parseSourceArgument(Buffer.from([0xff, 0x2f, 0xfe]), false);
    expect([base, name]).toEqual([Buffer.from([0xff]), Buffer.from([0xfe])]);
  });
});

describe('a relative argument', () => {
  it.each([
    ['', '', '.', 'dot', false],
    ['.', '', '.', 'dot', false],
    ['a/b/c', '', 'a/b/c', 'normal', false],
    ['a/b/', '', 'a/b', 'slash', false],
    ['a/b/.', '', 'a/b', 'slash', false],
    ['a/./b/c', 'a', 'b/c', 'normal', false],
    ['a/./b/./c', 'a', 'b/c', 'normal', false],
    ['a/./', 'a', '.', 'dot', false],
    ['a//x/.//b', 'a/x', 'b', 'normal', false],
    ['./a/b', '', 'a/b', 'normal', true],
  ])('%j starts in %j and lists %j as %s', (text, base, name, kind, leadingDot) => {
    expect(parsed(text, true)).toEqual([base, name, kind, leadingDot]);
  });

  it('with a dot-dot component is refused with the code for syntax', () => {
    for (const text of ['..', 'a/../b', 'x/./../y', 'a/..']) {
      const error = (() => {
        try {
          return parsed(text, true);
        } catch (thrown) {
          return thrown;
        }
      })();
      expect(error, text).toBeInstanceOf(UsageError);
      expect((error as UsageError).exit).toBe(EXIT.SYNTAX);
    }
  });
});
