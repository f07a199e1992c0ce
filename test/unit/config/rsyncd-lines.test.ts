import { describe, expect, it } from 'vitest';
import { logicalLines, parseStatement } from '../../../src/config/rsyncd-lines.ts';
import { refusal } from './fixture.ts';

const lines = (text: string) => [...logicalLines(text)].map(({ line, text: joined }) => [line, joined]);

// What a 3.5.0 daemon makes of the same lines (its module list shows comments) is what these tests expect.
describe('logical lines', () => {
  it('skip blank lines and comments of both kinds, also indented ones', () => {
    expect(lines('\n  \t\n# a\n; b\n   # c\n\t;d\na = b\r\n')).toEqual([[7, 'a = b']]);
  });

  it('keep a hash or semicolon behind anything else', () => {
    expect(lines('comment = one # two ; three')).toEqual([[1, 'comment = one # two ; three']]);
  });

  it('join a line that ends in a backslash, with the blanks that begin the next', () => {
    expect(lines('comment = one\\\n   two\\\nthree\nlist = no')).toEqual([
      [1, 'comment = one   twothree'],
      [4, 'list = no'],
    ]);
  });

  it('join also when blanks or a carriage return follow the backslash', () => {
    expect(lines('comment = one\\ \t\n two\\\r\n three\r\n')).toEqual([[1, 'comment = one two three']]);
  });

  it('do not continue a comment', () => {
    expect(lines('# comment \\\nlist = no')).toEqual([[2, 'list = no']]);
  });

  it('take what is continued as it is, even a comment sign or a bracket', () => {
    expect(lines('comment = x \\\n# y\nlist = no')).toEqual([
      [1, 'comment = x # y'],
      [3, 'list = no'],
    ]);
    expect(lines('comment = x \\\n[b]')).toEqual([[1, 'comment = x [b]']]);
  });

  it('begin at the line of the backslash when nothing else stands there', () => {
    expect(lines('\\\n a = b')).toEqual([[1, 'a = b']]);
  });

  it('keep a backslash that ends the file', () => {
    expect(lines('comment = x \\')).toEqual([[1, 'comment = x \\']]);
  });

  it('take a megabyte of continuations and blanks in linear time', () => {
    expect(lines(`a = ${'\\\n'.repeat(300_000)}b`)).toEqual([[1, 'a = b']]);
    expect(lines(`a = ${' '.repeat(1_000_000)}b`)[0]?.[1]).toHaveLength(1_000_005);
  });
});

describe('a statement', () => {
  it('names parameters without blanks and in lower case, and keeps the value', () => {
    expect(parseStatement('Read  ONly =  x = y')).toEqual({
      kind: 'parameter',
      id: 'readonly',
      written: 'Read ONly',
      value: 'x = y',
    });
  });

  it('keeps blanks inside a value, also no-break spaces at its end', () => {
    expect(parseStatement('comment = a  b\u00a0')).toMatchObject({ value: 'a  b\u00a0' });
  });

  it('collapses the blanks of a module name and ignores what follows the bracket', () => {
    expect(parseStatement('[  a \t b ] # note')).toEqual({ kind: 'section', name: 'a b' });
  });

  it.each([
    ['&include /etc/d', 'include', '/etc/d'],
    ['&MERGE = /etc/a b', 'merge', '/etc/a b'],
    ['&', '', ''],
  ])('reads the directive %j', (text, name, path) => {
    expect(parseStatement(text)).toEqual({ kind: 'directive', name, path });
  });

  it.each([
    ['[a', 'closing bracket'],
    ['[]', 'must not be empty'],
    ['[ ]', 'must not be empty'],
    ['[a/b]', 'slash'],
    ['hosts allow 10.0.0.1', 'neither a comment'],
    ['comment: x', 'neither a comment'],
    ['= x', 'no parameter name'],
  ])('refuses %j', (text, reason) => {
    expect(refusal(() => parseStatement(text))).toContain(reason);
  });
});
