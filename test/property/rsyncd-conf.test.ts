/** No text makes the reader of rsyncd.conf fail in another way than with a ConfigError, or forget a restriction. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { convertConfig } from '../../src/cli/convert.ts';
import { loadConfig } from '../../src/config/load.ts';
import { RSYNCD_PARAMS } from '../../src/config/rsyncd-params.ts';
import { ConfigError } from '../../src/errors.ts';
import { NO_FLAGS } from '../unit/config/fixture.ts';
import { convertText, FILE, loadText, memoryFiles, readText } from '../unit/config/rsyncd-fixture.ts';

const CONTEXT = { credentialsDirectory: null, uid: 0 };

const value = fc.oneof(
  fc.constantFrom(
    'yes',
    'no',
    '0',
    '-1',
    '5',
    '/usr',
    '/usr/./share',
    '*',
    'a b',
    '10.0.0.1/8',
    '- *.o + x',
    '%A%',
    '',
  ),
  fc.constantFrom('alice:deny bob', 'nobody', 'D755', 'c !d*', 'localhost', 'sha256', '::1'),
  fc.string(),
  fc.string({ unit: 'binary' }),
);

const line = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(fc.constantFrom(...RSYNCD_PARAMS), value).map(([row, text]) => `${row.name} = ${text}`),
  },
  { weight: 2, arbitrary: fc.constantFrom('[a]', '[b]', '[global]', '[c d]', 'path = /usr') },
  fc.constantFrom('&include /d', '&merge /d', `&include ${FILE}`, `&merge ${FILE}`, '&include /nowhere'),
  fc.constantFrom('\\', '# x \\', ';', '[', ']', '=', '&', '\r', '\ufeff'),
  fc.string(),
);

const text = fc.oneof(
  fc.array(line, { maxLength: 30 }).map((lines) => lines.join('\n')),
  fc.string({ unit: 'binary', maxLength: 400 }),
);

/** What a call gives, or null when it was refused as it may be. */
function orRefused<T>(call: () => T): T | null {
  try {
    return call();
  } catch (error) {
    if (error instanceof ConfigError) return null;
    throw error;
  }
}

describe('any rsyncd.conf', () => {
  it('is read, judged and served or refused with a ConfigError', () => {
    fc.assert(
      fc.property(text, text, text, (top, included, merged) => {
        const others = { '/d/x.conf': included, '/d/x.inc': merged };
        const conf = orRefused(() => readText(top, others));
        if (conf === null) return;
        expect(conf.entries.filter(({ kind }) => kind === 'problem').length).toBeLessThanOrEqual(100 + 16);
        const isRefused = convertText(top, others).verdicts.some(({ letter }) => letter === 'R');
        const served = orRefused(() => loadText(top, others));
        expect(isRefused && served !== null).toBe(false);
      }),
      { numRuns: 1500 },
    );
  });

  it('prints TOML that holds no more modules than may be served', () => {
    fc.assert(
      fc.property(text, (top) => {
        const converted = orRefused(() => convertConfig(FILE, CONTEXT, memoryFiles({ [FILE]: top })));
        if (converted === null) return;
        const { modules } = convertText(top);
        const loaded = orRefused(() => loadConfig(converted.toml, 'x.toml', NO_FLAGS, CONTEXT));
        const allowed = modules.filter(({ isRefused }) => !isRefused).map(({ keys }) => keys.name);
        expect(loaded === null ? [] : loaded.modules.map(({ name }) => name)).toEqual(loaded === null ? [] : allowed);
      }),
      { numRuns: 1500 },
    );
  });
});
