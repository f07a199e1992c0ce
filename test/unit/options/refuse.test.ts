import { describe, expect, it } from 'vitest';
import { compileRefusals } from '../../../src/options/refuse.ts';

const refuses = (patterns: string[], name: string, letter = '') => compileRefusals(patterns).refuses(name, letter);

describe('refuse_options', () => {
  it('refuses nothing when empty', () => {
    expect(refuses([], 'checksum', 'c')).toBe(false);
  });

  it('matches a letter', () => {
    expect(refuses(['c'], 'checksum', 'c')).toBe(true);
  });

  it('does not take a letter for the beginning of a name', () => {
    expect(refuses(['c'], 'compress', 'z')).toBe(false);
  });

  it('matches wildcards against the name', () => {
    expect([refuses(['delete-*'], 'delete-after'), refuses(['delete-*'], 'delete')]).toEqual([true, false]);
  });

  it('matches wildcards against the letter', () => {
    expect([
      refuses(['?'], 'checksum', 'c'),
      refuses(['[bc]'], 'checksum', 'c'),
      refuses(['[!bc]'], 'checksum', 'c'),
    ]).toEqual([true, true, false]);
  });

  it('lets the last match win', () => {
    const patterns = ['delete-*', '!delete-during'];
    expect([refuses(patterns, 'delete-during'), refuses(patterns, 'delete-after')]).toEqual([false, true]);
  });

  it('turns into a list of what is accepted', () => {
    const patterns = ['*', '!a', '!v', '!compress*'];
    expect(refuses(patterns, 'recursive', 'r')).toBe(false);
    expect(refuses(patterns, 'compress-level')).toBe(false);
    expect(refuses(patterns, 'checksum', 'c')).toBe(true);
  });

  it.each(['a', 'archive'])('means all that -a stands for by %s', (name) => {
    const letters = [...'rlptgoD'];
    expect(letters.map((letter) => refuses([name], '', letter))).toEqual(letters.map(() => true));
  });

  it('means only --archive itself by a wildcard', () => {
    expect(refuses(['archive*'], 'recursive', 'r')).toBe(false);
  });

  it.each([
    ['server', ''],
    ['sender', ''],
    ['rsh', 'e'],
  ])('never refuses --%s', (name, letter) => {
    expect([refuses(['*'], name, letter), refuses([name], name, letter)]).toEqual([false, false]);
  });

  it.each(['dry-run', 'from0', 'secluded-args', 'log-format', 'checksum-seed'])(
    'refuses --%s by its exact name only',
    (name) => {
      expect([refuses(['*'], name), refuses([name], name)]).toEqual([false, true]);
    },
  );

  it('forgives dashes and blanks in front of a name', () => {
    expect([refuses(['--compress'], 'compress', 'z'), refuses(['*', '! -z'], 'compress', 'z')]).toEqual([true, false]);
  });

  it.each(['[', 'a[', '(', '.*+', '[]]', '[^]', '!'])('takes %s without failing', (pattern) => {
    expect(refuses([pattern], 'compress', 'z')).toBeTypeOf('boolean');
  });

  it('takes regular-expression characters literally', () => {
    expect([refuses(['.*'], 'compress'), refuses(['c.mpress'], 'compress')]).toEqual([false, false]);
  });
});
