/** Wildmatch against a slow backtracking oracle, and its work counted in steps. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LimitError } from '../../src/errors.ts';
import { StepMeter, Wildmatch } from '../../src/filter/wildmatch.ts';

const UNLIMITED = { wildmatchStepsPerByte: 1e9, filterStepsPerName: 1e9 };

/** One token of a pattern: its text and what it matches. */
type Token = { text: string } & ({ kind: 'one'; accepts: (byte: string) => boolean } | { kind: 'star' | 'doubleStar' });

const TOKENS: readonly Token[] = [
  ...['a', 'b', '/'].map((byte): Token => ({ text: byte, kind: 'one', accepts: (other) => other === byte })),
  { text: '?', kind: 'one', accepts: (byte) => byte !== '/' },
  { text: '[ab]', kind: 'one', accepts: (byte) => byte === 'a' || byte === 'b' },
  { text: '[!a]', kind: 'one', accepts: (byte) => byte !== 'a' && byte !== '/' },
  { text: '[b-z/]', kind: 'one', accepts: (byte) => byte >= 'b' && byte <= 'z' },
  { text: '[[:upper:]]', kind: 'one', accepts: (byte) => byte >= 'A' && byte <= 'Z' },
  { text: '\\*', kind: 'one', accepts: (byte) => byte === '*' },
  { text: '\\a', kind: 'one', accepts: (byte) => byte === 'a' },
  { text: '*', kind: 'star' },
  { text: '**', kind: 'doubleStar' },
];

/** Tries everything. Runs of stars count as one `**`, as in the pattern text they become. */
function oracle(tokens: readonly Token[], name: string): boolean {
  const [token, ...rest] = tokens;
  if (!token) return name === '';
  if (token.kind === 'one') return name !== '' && token.accepts(name[0]!) && oracle(rest, name.slice(1));
  const next = rest[0];
  if (next && next.kind !== 'one') return oracle([{ text: '**', kind: 'doubleStar' }, ...rest.slice(1)], name);
  for (let taken = 0; taken <= name.length; taken++) {
    if (token.kind === 'star' && name.slice(0, taken).includes('/')) return false;
    if (oracle(rest, name.slice(taken))) return true;
  }
  return false;
}

function compiled(pattern: string): Wildmatch {
  return new Wildmatch(Buffer.from(pattern, 'latin1'));
}

const tokenLists = fc.array(fc.constantFrom(...TOKENS), { minLength: 1, maxLength: 9 });
const names = fc.string({ unit: fc.constantFrom('a', 'a', 'b', '/', 'A', '*'), maxLength: 12 });

describe('Wildmatch', () => {
  it('agrees with trying everything', () => {
    fc.assert(
      fc.property(tokenLists, names, (tokens, name) => {
        const pattern = tokens.map((token) => token.text).join('');
        const text = Buffer.from(name, 'latin1');
        const result = compiled(pattern).matches(text, 0, text.length, new StepMeter(UNLIMITED));
        expect(result).toBe(oracle(tokens, name));
      }),
      { numRuns: 20_000 },
    );
  });

  it('finds every name that its pattern was made from', () => {
    const pieces = fc.array(
      fc.oneof(
        fc.constantFrom('a', 'b', '/').map((byte) => [byte, byte] as const),
        fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 5 }).map((run) => ['*', run] as const),
        fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 5 }).map((run) => ['**', run] as const),
      ),
      { minLength: 1, maxLength: 12 },
    );
    fc.assert(
      fc.property(pieces, (made) => {
        const text = Buffer.from(made.map(([, run]) => run).join(''));
        const wildmatch = compiled(made.map(([piece]) => piece).join(''));
        expect(wildmatch.matches(text, 0, text.length, new StepMeter(UNLIMITED))).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });

  it('never throws while compiling, and matches only inside its range', () => {
    const anything = fc.string({ unit: fc.constantFrom(...'ab[]!^-\\*?/:[:alpha:]'), minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(anything, names, (pattern, name) => {
        const wildmatch = compiled(pattern);
        const alone = Buffer.from(name, 'latin1');
        const framed = Buffer.from(`/a${name}b/`, 'latin1');
        const expected = wildmatch.matches(alone, 0, alone.length, new StepMeter(UNLIMITED));
        expect(wildmatch.matches(framed, 2, 2 + alone.length, new StepMeter(UNLIMITED))).toBe(expected);
      }),
      { numRuns: 5000 },
    );
  });

  it('stays within its budget or gives up, whatever the pattern', () => {
    const parts = fc.constantFrom('*a', '**a', '**/', '*', '[a-z]*', '?', 'a', 'b', '**/a**', '*?');
    const hostile = fc.tuple(
      fc.array(parts, { minLength: 1, maxLength: 200 }),
      fc.constantFrom('a', 'a/', 'ab', 'aaa/'),
    );
    fc.assert(
      fc.property(hostile, fc.integer({ min: 1, max: 1000 }), ([pieces, unit], count) => {
        const pattern = pieces.join('');
        const text = Buffer.from(unit.repeat(count));
        const meter = new CountingMeter();
        try {
          compiled(pattern).matches(text, 0, text.length, meter);
        } catch (error) {
          expect(error).toBeInstanceOf(LimitError);
        }
        expect(meter.steps).toBeLessThanOrEqual(64 * (pattern.length + text.length) + 1);
      }),
      { numRuns: 1000 },
    );
  });
});

class CountingMeter extends StepMeter {
  steps = 0;

  constructor() {
    super({ ...UNLIMITED, wildmatchStepsPerByte: 64 });
  }

  override charge(steps: number): void {
    this.steps += steps;
  }
}
