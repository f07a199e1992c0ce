import { describe, expect, it } from 'vitest';
import { escapeControls, escapeJsonControls } from '../../../src/observe/escape.ts';

describe('escapeControls', () => {
  it.each([
    ['plain text ü 日本', 'plain text ü 日本'],
    ['\u001b[2J\n', '\\x1b[2J\\n'],
    ['a\tb\rc', 'a\\tb\\rc'],
    ['\u0000\u007f\u009b', '\\x00\\x7f\\x9b'],
    ['\u202egpj.exe', '\\u202egpj.exe'],
    ['\u2028', '\\u2028'],
    ['\ud800', '\\ud800'],
    ['\u{1f600}', '\u{1f600}'],
  ])('writes %j as %j', (given, expected) => {
    expect(escapeControls(given)).toBe(expected);
  });
});

describe('escapeJsonControls', () => {
  it('keeps the value and leaves no control character', () => {
    const value = { text: '\u009b31m\u202e\u2028\u007f\u0001 ü "quoted" \\' };
    const escaped = escapeJsonControls(JSON.stringify(value));
    expect(JSON.parse(escaped)).toEqual(value);
    expect(escapeControls(escaped)).toBe(escaped);
  });
});
