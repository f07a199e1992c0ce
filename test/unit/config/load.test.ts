import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readConfig } from '../../../src/config/load.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { load, makeDirectory, moduleText, NO_FLAGS, refusal, UID } from './fixture.ts';

let place: ReturnType<typeof makeDirectory>;
beforeEach(() => {
  place = makeDirectory();
});
afterEach(() => place.remove());

const context = { credentialsDirectory: null, uid: UID };

describe('the top of the file', () => {
  it('has the defaults of design.md 4 when only a module is set', () => {
    const { motd, timeoutSec, bytesPerSecond, logLevel, logTransfers, limits, listeners, warnings } = load(
      moduleText(),
    );
    expect({ motd, timeoutSec, bytesPerSecond, logLevel, logTransfers, listeners, warnings }).toEqual({
      motd: null,
      timeoutSec: 600,
      bytesPerSecond: 0,
      logLevel: 'info',
      logTransfers: 'session',
      listeners: [],
      warnings: [],
    });
    expect(limits).toEqual(DEFAULT_LIMITS);
  });

  it('reads sizes, times and counts of [limits] in any of their spellings', () => {
    const text = `[limits]\nfilterBytes = "512KiB"\nfilterMs = "30s"\nentries = 1_000\nmotdBytes = 5\n${moduleText()}`;
    expect(load(text).limits).toMatchObject({ filterBytes: 524_288, filterMs: 30_000, entries: 1000, motdBytes: 5 });
  });

  it('maps max_connections and max_connections_per_address to their limits', () => {
    const text = `max_connections = 7\nmax_connections_per_address = 3\n${moduleText()}`;
    expect(load(text).limits).toMatchObject({ connections: 7, connectionsPerAddress: 3 });
  });

  it('refuses two different values for one limit', () => {
    const text = `max_connections = 7\n[limits]\nconnections = 8\n${moduleText()}`;
    expect(refusal(() => load(text))).toContain('test.toml:3: limits.connections: 8 contradicts max_connections = 7');
  });

  it('warns of a limit that is wider than its default, and of a session without end', () => {
    const { warnings } = load(`[limits]\nmergeDepth = 33\nsessionMs = 0\nargs = 10\n${moduleText()}`);
    expect(warnings).toEqual([
      'limits.sessionMs is weaker than its default: 0 instead of 86400000',
      'limits.mergeDepth is weaker than its default: 33 instead of 32',
    ]);
  });

  it.each([
    ['timeout = 0', 'a timeout cannot be switched off'],
    ['timeout = "0"', 'a timeout cannot be switched off'],
    ['timeout = -5', 'from 1 to 86400 seconds'],
    ['timeout = "1500ms"', 'from 1 to 86400 seconds'],
    ['timeout = "10 m"', 'from 1 to 86400 seconds'],
    ['timeout = 1.0', 'from 1 to 86400 seconds'],
    ['timeout = 1979-05-27', 'from 1 to 86400 seconds'],
    ['max_connections = "5"', 'a whole number from 1 to 65535'],
    ['max_connections = 5.5', 'a whole number from 1 to 65535'],
    ['max_connections = 99999999999999999999', 'a whole number from 1 to 65535'],
    ['log_level = "loud"', 'expected one of "error", "warn", "info", "debug"'],
    ['motd_file = ""', 'a file name'],
    ['limits = 5', 'expected a [limits] table'],
    ['module = "x"', 'expected [[module]] tables'],
    ['[limits]\nfilterBytes = "1MB "', 'a size from 1'],
    ['[limits]\nfilterBytes = 0', 'a size from 1'],
    ['[limits]\nfilterMs = "30"', 'a time from 1'],
    ['[limits]\nfilterMs = 2147483648', 'a time from 1 to 2147483647 milliseconds'],
    ['[limits]\nentries = "1KiB"', 'a whole number'],
    ['timout = 5', 'timout: unknown key; the nearest known key is timeout'],
    ['[limits]\nfilter_rules = 5', 'limits.filter_rules: unknown key; the nearest known key is filterRules'],
    ['[[modul]]', 'modul: unknown key; the nearest known key is module'],
    ['__proto__ = 5', '__proto__: unknown key'],
    ['constructor = 5', 'constructor: unknown key'],
  ])('refuses %j', (text, reason) => {
    expect(refusal(() => load(text))).toContain(reason);
  });

  it('names file, line and column of text that is not TOML, and shows the lines around', () => {
    expect(refusal(() => load('a = 1\nb = = 2\n', '/etc'))).toMatch(
      /^\/etc\/test\.toml:2: column 5: .+\n\n {2}1 \| a = 1\n {2}2 \| b = = 2\n {4}\| \^/,
    );
  });

  it('names file, line and key path of a bad value, and shows the lines around', () => {
    expect(refusal(() => load(`${moduleText()}[[module]]\nname = "n"\n  path = "srv"\n`, '/etc'))).toBe(
      [
        '/etc/test.toml:7: module[1].path: "srv" is not allowed: expected an absolute path',
        '',
        '  6 | name = "n"',
        '  7 |   path = "srv"',
        '    |   ^',
        '  8 |',
      ].join('\n'),
    );
  });

  it('needs at least one module', () => {
    expect(refusal(() => load('', '/etc'))).toBe('/etc/test.toml: no module: add a [[module]] with name and path');
  });

  it('reads the message of the day from beside the file, within limits.motdBytes', () => {
    place.file('motd.txt', 'hello\n');
    expect(load(`motd_file = "motd.txt"\n${moduleText()}`, place.dir).motd?.toString()).toBe('hello\n');
    const text = `motd_file = "motd.txt"\n[limits]\nmotdBytes = 5\n${moduleText()}`;
    expect(refusal(() => load(text, place.dir))).toMatch(/test\.toml:1: motd_file: .*is larger than 5 bytes/);
  });

  it('is frozen all the way down', () => {
    const config = load(`[[listener]]\nrsyncd = ":0"\n${moduleText('filter = ["- x"]\nhosts_deny = ["all"]')}`);
    const parts = [config, config.limits, config.modules, config.modules[0], config.modules[0]?.rules.filter];
    expect([...parts, config.modules[0]?.access.table, config.listeners[0]?.address].every(Object.isFrozen)).toBe(true);
  });
});

describe('bandwidth_limit', () => {
  it('may say 0, which is no limit', () => {
    const config = load(`bandwidth_limit = 0\n${moduleText('bandwidth_limit = "0"')}`);
    expect([config.bytesPerSecond, config.modules[0]?.bytesPerSecond]).toEqual([0, 0]);
  });

  it('is read in bytes per second, with units', () => {
    const config = load(`bandwidth_limit = "50MiB"\n${moduleText('bandwidth_limit = 1024')}`);
    expect([config.bytesPerSecond, config.modules[0]?.bytesPerSecond]).toEqual([50 * 2 ** 20, 1024]);
  });

  it('is refused when it is so small that somebody thinks in KiB', () => {
    const allowed = 'expected a size of 0 or from 1024 to 1099511627776 bytes, as 65536 or "50MiB"';
    expect(refusal(() => load('bandwidth_limit = 1023'))).toContain(
      ` bandwidth_limit: 1023 is not allowed: ${allowed}`,
    );
    expect(refusal(() => load(moduleText('bandwidth_limit = 1')))).toContain(
      ` module[0].bandwidth_limit: 1 is not allo`,
    );
  });
});

describe('dont_namespace', () => {
  const SSH = '[[listener]]\nauthorized_ssh = { address = ":1", authorized_keys = "users" }\n';

  it('is for daemons with authorized SSH alone', () => {
    expect(load(`dont_namespace = true\n${SSH}${moduleText()}`).dontNamespace).toBe(true);
    const mixed = `dont_namespace = true\n${SSH}[[listener]]\nrsyncd = ":2"\n${moduleText()}`;
    expect(refusal(() => load(mixed))).toContain('dont_namespace: is only allowed when every listener');
  });
});

describe('keys', () => {
  it('are checked in each section', () => {
    expect(refusal(() => load('workers = 99'))).toContain('expected a whole number from 0 to 8');
    expect(refusal(() => load('[[listener]]\nauthorized_ssh = { adress = ":1" }'))).toContain(
      'listener[0].authorized_ssh.adress: unknown key; the nearest known key is address',
    );
    expect(refusal(() => load('[[listener]]\nrsyncd = ":1"\nproxy_trusted = ["x"]'))).toContain(
      'proxy_trusted[0]: "x"',
    );
  });

  it('may say what is the default anyway', () => {
    const global = 'workers = 0\nlog_format = "json"\ndont_namespace = false\n';
    const listener = '[[listener]]\nrsyncd = ":873"\nproxy_protocol = false\nproxy_trusted = []\n';
    const module = 'queue = 0\nfile_list_cache = "0"\ngeneration_file = ""\nlog_sample = 1.0';
    expect(load(global + listener + moduleText(module)).modules).toHaveLength(1);
  });
});

describe('queue', () => {
  it('is for modules with a number of places', () => {
    expect(load(moduleText('max_connections = 2\nqueue = 5\nqueue_timeout = "1m"')).modules[0]?.queue).toEqual({
      ...{ places: 5, timeoutSec: 60 },
    });
    expect(load(moduleText()).modules[0]?.queue).toEqual({ places: 0, timeoutSec: 600 });
    expect(refusal(() => load(moduleText('queue = 5')))).toContain(' module[0].queue: needs max_connections as well');
  });

  it('that is longer than all queues together may be is warned of', () => {
    expect(load(moduleText('max_connections = 2\nqueue = 129')).warnings).toEqual([
      'module m: queue = 129, but limits.queued lets only 128 wait in all queues',
    ]);
    expect(load(`[limits]\nqueued = 129\n${moduleText('max_connections = 2\nqueue = 129')}`).warnings).toHaveLength(1);
  });
});

describe('listeners', () => {
  const two = '[[listener]]\nrsyncd = "127.0.0.1:1"\n[[listener]]\nrsyncd = "[::1]:2"\n';
  const addresses = (text: string, flags = {}) =>
    load(text + moduleText(), '/usr', flags).listeners.map((l) => l.address);

  it('keep the order of the file', () => {
    expect(addresses(two)).toEqual([
      { host: '127.0.0.1', port: 1 },
      { host: '::1', port: 2 },
    ]);
  });

  it('are replaced by --gokr.listen', () => {
    expect(addresses(two, { listen: 'localhost:0' })).toEqual([{ host: 'localhost', port: 0 }]);
  });

  it('keep their host under --port, so that loopback stays loopback', () => {
    expect(addresses('[[listener]]\nrsyncd = "127.0.0.1:1"\n', { port: '9' })).toEqual([
      { host: '127.0.0.1', port: 9 },
    ]);
  });

  it('keep their port under --address', () => {
    expect(addresses(two, { address: '::' })).toEqual([
      { host: '::', port: 1 },
      { host: '::', port: 2 },
    ]);
  });

  it('come from --port and --address alone when the file has none', () => {
    expect(addresses('', { port: '9' })).toEqual([{ host: '::', port: 9 }]);
    expect(addresses('', { address: '127.0.0.1' })).toEqual([{ host: '127.0.0.1', port: 873 }]);
    expect(addresses(two, { port: '9', address: '::' })).toEqual([{ host: '::', port: 9 }]);
  });

  it.each([
    ['[[listener]]\n', 'listener[0]: has none: expected exactly one of rsyncd'],
    ['[[listener]]\nrsyncd = ":1"\nanon_ssh = ":2"\n', 'listener[0]: has rsyncd and anon_ssh'],
    ['[[listener]]\nrsyncd = "873"\n', 'test.toml:2: listener[0].rsyncd: "873" is not an address and port'],
    ['[[listener]]\nrsyncd = 873\n', 'expected an address and port'],
    [
      '[[listener]]\nrsyncd = ":1"\n[[listener]]\nrsyncd = "[::]:1"\n',
      'test.toml:4: listener[1].rsyncd: is the address',
    ],
    ['[[listener]]\nrsync = ":1"\n', 'the nearest known key is rsyncd'],
  ])('are refused: %j', (text, reason) => {
    expect(refusal(() => load(text + moduleText()))).toContain(reason);
  });

  it.each([
    [{ listen: 'x' }, '--gokr.listen: "x" is not'],
    [{ port: '70000' }, '--port: "70000" is not a port'],
    [{ address: 'a b' }, '--address: "a b" is neither'],
    [{ listen: ':1', port: '1' }, '--gokr.listen: cannot stand beside'],
  ])('refuse the flags %j by name', (flags, reason) => {
    expect(refusal(() => load(moduleText(), '/usr', flags))).toMatch(new RegExp(`^(/usr/test.toml: )?${reason}`));
  });
});

describe('--gokr.modulemap', () => {
  const paths = (flags: readonly string[]) =>
    load(moduleText('comment = "c"'), '/usr', { modules: flags }).modules.map(({ name, path, comment }) => [
      name,
      path,
      comment,
    ]);

  it('adds modules after those of the file', () => {
    expect(paths(['x=/etc'])).toEqual([
      ['m', '/usr', 'c'],
      ['x', '/etc', ''],
    ]);
  });

  it('moves a module of the file and keeps its other keys', () => {
    expect(paths(['m=/etc'])).toEqual([['m', '/etc', 'c']]);
  });

  it.each([
    ['m', 'expected NAME=PATH'],
    ['=/usr', 'expected NAME=PATH'],
    ['m=usr', 'expected an absolute path'],
    ['a b=/usr', '"a b" is not a module name'],
  ])('refuses %j', (entry, reason) => {
    const problem = refusal(() => paths([entry]));
    expect(problem).toContain('--gokr.modulemap');
    expect(problem).toContain(reason);
  });
});

describe('readConfig', () => {
  it('reads the file of --config, following a link to it', () => {
    const file = place.file('c.toml', moduleText('', place.pub));
    expect(readConfig({ ...NO_FLAGS, file }, null, context)).toMatchObject({ file, modules: [{ path: place.pub }] });
  });

  it('falls back to the file in the home directory', () => {
    mkdirSync(join(place.dir, '.config'));
    const file = place.file('.config/gokr-rsyncd.toml', moduleText());
    expect(readConfig(NO_FLAGS, place.dir, context).file).toBe(file);
  });

  it('needs no file when modules are mapped', () => {
    const config = readConfig({ ...NO_FLAGS, modules: ['x=/usr'] }, place.dir, context);
    expect(config).toMatchObject({ file: null, modules: [{ name: 'x', path: '/usr' }] });
  });

  it('says where it looked when there is nothing', () => {
    expect(refusal(() => readConfig(NO_FLAGS, place.dir, context))).toContain(
      `looked for /etc/gokr-rsyncd.toml and ${place.dir}/.config/gokr-rsyncd.toml`,
    );
  });

  it.each([
    ['missing.toml', 'no such file'],
    ['rsyncd.conf', 'no such file'],
    ['pub', 'is not a regular file'],
  ])('refuses --config %s', (name, reason) => {
    expect(refusal(() => readConfig({ ...NO_FLAGS, file: join(place.dir, name) }, null, context))).toContain(reason);
  });

  it('refuses a file above 1 MiB', () => {
    const file = place.file('big.toml', '#'.repeat(2 ** 20 + 1));
    expect(refusal(() => readConfig({ ...NO_FLAGS, file }, null, context))).toContain('larger than 1048576 bytes');
  });
});
