import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../src/errors.ts';
import { isReceiverOnly, parseModernRule, parseOldRule, type RuleText } from '../../../src/filter/rule.ts';
import { bytes } from './tree-walk.ts';

function modern(line: string): RuleText {
  return parseModernRule(bytes(line));
}

function failure(action: () => unknown): UsageError {
  try {
    action();
  } catch (error) {
    if (error instanceof UsageError) return error;
  }
  throw new Error('no UsageError');
}

describe('parseModernRule', () => {
  it.each([
    ['exclude', 'hide'],
    ['include', 'show'],
    ['hide', 'hide'],
    ['show', 'show'],
    ['protect', 'hide'],
    ['risk', 'show'],
    ['merge', 'merge'],
    ['dir-merge', 'dirMerge'],
  ])('reads the long word %s', (word, action) => {
    expect(modern(`${word},p_x y`)).toMatchObject({ action, pattern: bytes('x y') });
  });

  it('notes every modifier of a name rule', () => {
    expect(modern('-/!sxp x')).toMatchObject({ absolute: true, negated: true, senderSide: true, xattr: true });
  });

  it('notes every modifier of a merge rule', () => {
    const noted = { absolute: true, noInherit: true, wordSplit: true, hidesFile: true, bare: 'show' };
    expect(modern(':/nwe+ .f')).toMatchObject(noted);
  });

  it('lets C stand for the settings of a .cvsignore file', () => {
    const noted = { pattern: bytes('.cvsignore'), wordSplit: true, noInherit: true, bare: 'hide', cvs: true };
    expect(modern(':C')).toMatchObject(noted);
  });

  it.each(['P x', 'R x', '-r x', ':r x'])('sees that %s is for the receiving side only', (line) => {
    expect(isReceiverOnly(modern(line))).toBe(true);
  });

  it.each(['- x', '-s x', '-sr x', 'H x', 'S x'])('sees that %s concerns a sender', (line) => {
    expect(isReceiverOnly(modern(line))).toBe(false);
  });

  it('refuses with exit code 1', () => {
    expect(failure(() => modern('nonsense')).exit).toBe(1);
  });

  it('escapes control characters of a rule that it repeats', () => {
    expect(failure(() => modern('\x1b[2J\n')).tell).toBe('Unknown filter rule: \\#033[2J\\#012\n');
  });

  it('repeats only the beginning of a long rule', () => {
    expect(failure(() => modern('z'.repeat(5000))).tell!.length).toBeLessThan(300);
  });

  it('names the place instead of the rule when the rule is not the peer’s own', () => {
    const error = failure(() => parseModernRule(bytes('root:secret'), { label: '<rule from f line 1>' }));
    expect(error.tell).toBe('Unknown filter rule: <rule from f line 1>\n');
  });
});

describe('parseOldRule', () => {
  it.each([
    ['x', 'hide', 'x'],
    ['+ x', 'show', 'x'],
    ['- x', 'hide', 'x'],
    ['+x', 'hide', '+x'],
    ['-_x', 'hide', '-_x'],
    ['!x', 'hide', '!x'],
    ['- !', 'hide', '!'],
  ])('reads %s as %s of %s', (line, action, pattern) => {
    expect(parseOldRule(bytes(line))).toMatchObject({ action, pattern: bytes(pattern) });
  });

  it('reads a lone exclamation mark as clear', () => {
    expect(parseOldRule(bytes('!')).action).toBe('clear');
  });

  it('gives a bare pattern the meaning of its list', () => {
    expect(parseOldRule(bytes('x'), 'show').action).toBe('show');
  });
});
