import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { compileShellGlob, hasLiveWildcards, quotePattern, unquoted } from '../../../src/session/shell-globs.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');

/** A pattern from text in which `\x01` stands before each quoted byte. */
function pattern(marked: string): Buffer {
  const plain: number[] = [];
  const quoted: number[] = [];
  for (let at = 0; at < marked.length; at++) {
    const isQuoted = marked[at] === '\x01';
    if (isQuoted) at++;
    plain.push(marked.charCodeAt(at));
    quoted.push(isQuoted ? 1 : 0);
  }
  return quotePattern(Buffer.from(plain), Uint8Array.from(quoted));
}

describe('wildcards of a command line', () => {
  it.each([
    ['a*b', true],
    ['a?', true],
    ['[x]', true],
    ['a\x01*b', false],
    ['\x01[x]', false],
    ['\x01\\*', true],
    ['plain', false],
  ])('are alive in %j: %j', (marked, isAlive) => {
    expect(hasLiveWildcards(pattern(marked))).toBe(isAlive);
  });

  it.each(['a\x01*b', '\x01\\', '\x01[\x01]', 'a b', 'caf\xe9', '\x01a\x01/\x01.'])(
    'give %j back as the name',
    (marked) => {
      expect(unquoted(pattern(marked)).toString('latin1')).toBe(marked.replaceAll('\x01', ''));
    },
  );

  it.each([
    ['*', 'a', true],
    ['*', '.a', false],
    ['.*', '.a', true],
    ['[.]a', '.a', false],
    ['?a', '.a', false],
    ['a\x01**', 'a*b', true],
    ['a\x01**', 'axb', false],
    ['\x01\\*', '\\x', true],
    ['*.c', 'a.c', true],
    ['*.c', 'a.h', false],
  ])('%j and the name %j: %j', (marked, name, matches) => {
    expect(compileShellGlob(pattern(marked), DEFAULT_LIMITS).matches(bytes(name))).toBe(matches);
  });
});
