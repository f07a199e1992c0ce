/** SECURITY.md names a test for each attack: a row without a test, or a test without its row, fails here. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

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
