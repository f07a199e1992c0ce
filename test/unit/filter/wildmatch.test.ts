import { describe, expect, it } from 'vitest';
import { compileGlob, hasWildcards, StepMeter, Wildmatch } from '../../../src/filter/wildmatch.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { bytes } from './tree-walk.ts';

function matches(pattern: string, name: string, limits = DEFAULT_LIMITS): boolean {
  const text = bytes(`<${name}>`);
  return new Wildmatch(bytes(pattern)).matches(text, 1, text.length - 1, new StepMeter(limits));
}

describe('Wildmatch', () => {
  it.each([
    ['a?c', 'abc', true],
    ['a?c', 'a/c', false],
    ['??', '\xc3\xa9', true],
    ['a*', 'a', true],
    ['a*c', 'ab/c', false],
    ['a**c', 'ab/c', true],
    ['a***', 'a', true],
    ['*a*b*', 'xaxbx', true],
    ['**/a*b', 'a/xb/ab', true],
    ['\\*', '*', true],
    ['\\*', 'x', false],
    ['*\\', 'a\\', false],
    ['*', '', true],
    ['?*', '', false],
  ])('%s on %s is %s', (pattern, name, expected) => {
    expect(matches(pattern, name)).toBe(expected);
  });

  it.each([
    ['[abc]', 'b', true],
    ['[!abc]', 'b', false],
    ['[^abc]', 'd', true],
    ['[]a]', ']', true],
    ['[!]]', ']', false],
    ['[a-c]', 'b', true],
    ['[c-a]', 'b', false],
    ['[a-]', '-', true],
    ['[-a]', '-', true],
    ['[\\]]', ']', true],
    ['[a-\\c]', 'b', true],
    ['[a-c-e]', 'd', false],
    ['[[:digit:]x]', '7', true],
    ['[[:upper:]]', 'a', false],
    ['[[:xdigit:]-z]', '-', true],
    ['[[:]', ':', true],
    ['[[:a]', 'a', true],
    ['[[:punct:]]', '/', false],
    ['[!a]', '/', false],
    ['[+-0]', '/', false],
    ['[!a]', '\xff', true],
  ])('set %s on %s is %s', (pattern, name, expected) => {
    expect(matches(pattern, name)).toBe(expected);
  });

  it.each(['[a', '[', '[!', '[a\\', '[[:nope:]]', '[[:alpha:', '[a-'])(
    'matches nothing with the malformed set %s',
    (set) => {
      for (const name of ['a', '[', set]) expect(matches(`*${set}`, name)).toBe(false);
    },
  );

  it.each([
    'alnum',
    'alpha',
    'blank',
    'cntrl',
    'digit',
    'graph',
    'lower',
    'print',
    'punct',
    'space',
    'upper',
    'xdigit',
  ])('knows the class %s as ASCII defines it', (name) => {
    const meant: Record<string, RegExp> = {
      alnum: /[A-Za-z0-9]/,
      alpha: /[A-Za-z]/,
      blank: /[ \t]/,
      // biome-ignore lint/suspicious/noControlCharactersInRegex: it is the class of control characters
      cntrl: /[\x00-\x1f\x7f]/,
      digit: /[0-9]/,
      graph: /[!-~]/,
      lower: /[a-z]/,
      print: /[ -~]/,
      punct: /[!-/:-@[-`{-~]/,
      space: /[ \t-\r]/,
      upper: /[A-Z]/,
      xdigit: /[0-9A-Fa-f]/,
    };
    for (let byte = 0; byte < 256; byte++) {
      const character = String.fromCharCode(byte);
      expect(matches(`[[:${name}:]]`, character), `byte ${byte}`).toBe(
        character !== '/' && meant[name]!.test(character),
      );
    }
  });

  it('ends a match that needs more steps than its bytes allow', () => {
    const match = () => matches(`*${'a'.repeat(200)}b?`, 'a'.repeat(4000));
    expect(match).toThrow(expect.objectContaining({ limit: 'wildmatchStepsPerByte' }));
  });

  it.each([`${'*a'.repeat(100)}*b`, `${'**/a'.repeat(50)}**/b`, `**/${'[a-z]*'.repeat(40)}b`, `${'*'.repeat(200)}b`])(
    'decides %s within the budget',
    (pattern) => {
      for (const name of ['a'.repeat(250), 'a/'.repeat(125), `${'a'.repeat(250)}/b`]) {
        expect(() => matches(pattern, name)).not.toThrow();
      }
    },
  );

  it('charges a session for all its names together', () => {
    const meter = new StepMeter({ wildmatchStepsPerByte: 64, filterStepsPerName: 2 });
    const pattern = new Wildmatch(bytes('*a*a*a*x?'));
    const name = bytes('a'.repeat(40));
    const run = () => {
      for (let count = 0; count < 1000; count++) {
        meter.beginName();
        pattern.matches(name, 0, name.length, meter);
      }
    };
    expect(run).toThrow(expect.objectContaining({ limit: 'filterStepsPerName' }));
  });
});

describe('compileGlob', () => {
  it.each([
    ['*', '.hidden', true],
    ['a[12]', 'a2', true],
    ['a\\*?', 'a*b', true],
    ['a\\*?', 'axb', false],
  ])('component %s on %s is %s', (component, name, expected) => {
    expect(compileGlob(bytes(component), DEFAULT_LIMITS).matches(bytes(name))).toBe(expected);
  });
});

describe('hasWildcards', () => {
  it.each([
    ['a*', true],
    ['a?', true],
    ['a[', true],
    ['a]{}\\', false],
  ])('of %s is %s', (text, expected) => {
    expect(hasWildcards(bytes(text))).toBe(expected);
  });
});
