import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { GLOBAL_KEYS, type KeyTable, LIMIT_KEYS, LISTENER_KEYS, MODULE_KEYS } from '../../../src/config/schema.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { load } from './fixture.ts';

const example = readFileSync(new URL('../../../deploy/example.toml', import.meta.url), 'utf8');
const tables: [string, KeyTable][] = [
  ['global', GLOBAL_KEYS],
  ['listener', LISTENER_KEYS],
  ['module', MODULE_KEYS],
];

describe('the table of keys', () => {
  it('has every limit of limits.ts with its default', () => {
    expect(Object.fromEntries(Object.entries(LIMIT_KEYS).map(([key, spec]) => [key, spec.default]))).toEqual(
      DEFAULT_LIMITS,
    );
  });

  it.each(tables)(
    'gives each %s key a doc text of one line, and numbers a range that holds the default',
    (_name, table) => {
      for (const [key, spec] of Object.entries(table)) {
        expect(spec.doc, key).toMatch(/^[A-Z].*\.$/);
        if (typeof spec.default === 'number') {
          expect(spec.default >= spec.min! && spec.default <= spec.max!, key).toBe(true);
        }
      }
    },
  );
});

describe('deploy/example.toml', () => {
  it('loads and serves /usr/share on port 8730 of loopback, without warnings', () => {
    const config = load(example);
    expect(config.listeners).toEqual([{ kind: 'rsyncd', address: { host: '127.0.0.1', port: 8730 } }]);
    expect(config.modules.map(({ name, path }) => [name, path])).toEqual([['share', '/usr/share']]);
    expect(config.warnings).toEqual([]);
  });

  it.each(tables)('shows every %s key', (_name, table) => {
    expect(Object.keys(table).filter((key) => !new RegExp(`^(# )?${key} = `, 'm').test(example))).toEqual([]);
  });
});
