/** SECURITY.md names a test for each attack and each bound: a row without a test, or a test or bound without its row, fails here. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/limits.ts';

const ROOT = join(import.meta.dirname, '../..');

interface Row {
  readonly issue: string;
  readonly titles: readonly string[];
}

/** Rows of the table of attacks: issue, attack, titles in backquotes. */
function tableRows(): Row[] {
  const lines = readFileSync(join(ROOT, 'SECURITY.md'), 'utf8').split('\n');
  const header = lines.indexOf('| Issue | Attack | Tests |');
  const rows = lines.slice(header + 2, lines.indexOf('', header));
  return rows.map((line) => ({
    issue: line.split('|')[1]!.trim(),
    titles: [...line.matchAll(/`((?:CVE|V8|[A-Z0-9])[^`]*: [^`]*)`/g)].map((match) => match[1]!),
  }));
}

/** Every text in single quotes of the tests that play attacks: their titles are among them. */
function quotedTexts(): Set<string> {
  const folder = (name: string): string[] =>
    readdirSync(join(ROOT, 'test', name))
      .filter((file) => file.endsWith('.test.ts'))
      .map((file) => readFileSync(join(ROOT, 'test', name, file), 'utf8'));
  const sources = ['session', 'interop', 'unit/listener/ssh'].flatMap(folder);
  return new Set(sources.flatMap((source) => [...source.matchAll(/'((?:[^'\\\n]|\\.)*)'/g)].map((match) => match[1]!)));
}

describe('the table of attacks in SECURITY.md', () => {
  const rows = tableRows();
  const texts = quotedTexts();

  it('has its rows', () => {
    expect(rows.length).toBeGreaterThanOrEqual(45);
    expect(new Set(rows.map(({ issue }) => issue)).size).toBe(rows.length);
  });

  it.each(rows)('names tests of $issue that exist', ({ issue, titles }) => {
    expect(titles.length).toBeGreaterThan(0);
    expect(titles.filter((title) => !title.startsWith(`${issue}: `))).toEqual([]);
    expect(titles.filter((title) => !texts.has(title))).toEqual([]);
  });

  it('names every test that is called after an attack', () => {
    const named = new Set(rows.flatMap(({ titles }) => titles));
    const attacks = [...texts].filter((text) => /^(V8 )?CVE-\d{4}-\d+: /.test(text));
    expect(attacks.filter((title) => !named.has(title))).toEqual([]);
  });
});

interface BoundRow {
  readonly row: string;
  readonly bounds: readonly string[];
  readonly tests: readonly (readonly [file: string, titles: readonly string[]])[];
}

/** Rows of the table of bounds: row, what it stops, names of bounds, files with titles in double quotes. */
function boundRows(): BoundRow[] {
  const lines = readFileSync(join(ROOT, 'SECURITY.md'), 'utf8').split('\n');
  const header = lines.findIndex((line) => line.startsWith('| Row | What it stops | Bounds |'));
  return lines.slice(header + 2, lines.indexOf('', header)).map((line) => {
    const [row, , bounds, ...tests] = line.slice(1, -1).split('|');
    return {
      row: row!.trim(),
      bounds: [...bounds!.matchAll(/`(\w+)`/g)].map((match) => match[1]!),
      tests: [...tests.join('|').matchAll(/`([^`]+\.test\.ts)`:((?: "[^"]+",?)+)/g)].map(
        ([, file, titles]) => [file!, [...titles!.matchAll(/"([^"]+)"/g)].map((match) => match[1]!)] as const,
      ),
    };
  });
}

/** Rows of the catalogue of bounds that this project was given, and the shared list, which has tests of its own. */
const CATALOGUE = [
  ...Array.from({ length: 31 }, (_, index) => `B-${index + 1}`),
  ...['B-13b', 'B-13c', 'B-13d', 'B-13e', 'B-13f', 'B-13g', 'B-26b'],
];

describe('the table of bounds in SECURITY.md', () => {
  const rows = boundRows();

  it('has every row of the catalogue, once', () => {
    const named = rows.map(({ row }) => row);
    expect(CATALOGUE.filter((row) => !named.includes(row))).toEqual([]);
    expect(new Set(named).size).toBe(named.length);
  });

  it('has every bound of limits.ts, and no other', () => {
    const named = new Set(rows.flatMap(({ bounds }) => bounds));
    const known = Object.keys(DEFAULT_LIMITS);
    expect([known.filter((name) => !named.has(name)), [...named].filter((name) => !known.includes(name))]).toEqual([
      [],
      [],
    ]);
  });

  it.each(rows)('names tests of $row that exist', ({ tests }) => {
    expect(tests.length).toBeGreaterThan(0);
    const missing = tests.flatMap(([file, titles]) => {
      const source = readFileSync(join(ROOT, 'test', file), 'utf8');
      const isThere = (title: string) => [`'${title}'`, `"${title}"`].some((quoted) => source.includes(quoted));
      return titles.filter((title) => !isThere(title));
    });
    expect(missing).toEqual([]);
  });
});
