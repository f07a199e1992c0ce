import { describe, expect, it } from 'vitest';
import type { TomlValue, VerdictLetter } from '../../../src/config/rsyncd-param.ts';
import { RSYNCD_PARAMS } from '../../../src/config/rsyncd-params.ts';
import { convertText, verdictOn } from './rsyncd-fixture.ts';

type Keys = Record<string, TomlValue>;
type Row = readonly [name: string, value: string, letter: VerdictLetter, keys?: Keys];

/** A setting of one line, the verdict on it and the keys that come of it. */
const MODULE_ROWS: readonly Row[] = [
  ['name', 'other', 'I', { name: 'other' }],
  ['comment', ' with  blanks ', 'I', { comment: 'with  blanks' }],
  ['comment', '', 'I', {}],
  ['comment', '50% of %NOPE', 'I', { comment: '50% of %NOPE' }],
  ['comment', 'as %RSYNC_USER_NAME%', 'R'],
  ['path', '/srv/x', 'I', { path: '/srv/x' }],
  ['path', '/srv//x y/ ', 'I', { path: '/srv/x y' }],
  ['path', '/', 'I', { path: '/' }],
  ['path', '/var/./x/./y', 'W', { path: '/var/x/y', munge_symlinks: true }],
  ['path', '/home/%RSYNC_USER_NAME%', 'R'],
  ['path', 'srv', 'R'],
  ['use chroot', 'yes', 'D', {}],
  ['use chroot', 'Unset', 'D', {}],
  ['use chroot', 'no', 'W', { munge_symlinks: true }],
  ['use chroot', 'maybe', 'R'],
  ['numeric ids', 'no', 'D', { numeric_ids: false }],
  ['numeric ids', 'yes', 'D', { numeric_ids: true }],
  ['name converter', '/bin/conv', 'R'],
  ['name converter', '', 'I', {}],
  ['munge symlinks', 'yes', 'D', { munge_symlinks: true }],
  ['insecure links', 'no', 'I', {}],
  ['insecure links', 'yes', 'R'],
  ['charset', 'utf-8', 'R'],
  ['charset', '', 'I', {}],
  ['max connections', '5', 'D', { max_connections: 5n }],
  ['max connections', '0', 'D', { max_connections: 0n }],
  ['max connections', 'many', 'R'],
  ['max connections', '', 'R'],
  ['lock file', '/run/lock', 'W', {}],
  ['log file', '/var/log/%NAME%', 'W', {}],
  ['syslog facility', 'local5', 'W', {}],
  ['syslog tag', 'rsyncd.%RSYNC_USER_NAME%', 'W', {}],
  ['max verbosity', '3', 'W', {}],
  ['transfer logging', 'yes', 'D', { log_transfers: 'file' }],
  ['transfer logging', 'no', 'D', {}],
  ['log format', '%h%o%f', 'W', {}],
  ['read only', 'yes', 'I', {}],
  ['read only', 'no', 'R'],
  ['write only', 'no', 'I', {}],
  ['write only', 'true', 'R'],
  ['open noatime', 'yes', 'D', { open_noatime: true }],
  ['open noatime', 'unset', 'D', {}],
  ['open noatime', 'no', 'W', {}],
  ['list', 'no', 'I', { list: false }],
  ['uid', 'nobody', 'W', {}],
  ['uid', '65534', 'W', {}],
  ['uid', 'me', 'W', {}],
  ['uid', '1000', 'W', {}],
  ['uid', 'other', 'R'],
  ['uid', 'unknown', 'R'],
  ['uid', 'root', 'R'],
  ['uid', '0', 'R'],
  ['uid', '%RSYNC_USER_NAME%', 'R'],
  ['gid', 'nogroup', 'W', {}],
  ['gid', 'us, nobody 100', 'W', {}],
  ['gid', 'us root', 'R'],
  ['gid', '*', 'R'],
  ['fake super', 'no', 'I', {}],
  ['fake super', 'yes', 'R'],
  ['filter', '- *.o + *.c', 'I', { filter: ['- *.o', '+ *.c'] }],
  ['exclude', '*.o - *.c', 'I', { exclude: ['*.o', '- *.c'] }],
  ['exclude', '', 'I', {}],
  ['include', '+ a b', 'I', { include: ['+ a', 'b'] }],
  ['exclude from', '/etc/ex', 'I', { exclude_from: '/etc/ex' }],
  ['exclude from', 'ex', 'R'],
  ['include from', '/etc/in', 'I', { include_from: '/etc/in' }],
  ['include from', '~/in', 'R'],
  ['incoming chmod', 'D755', 'W', {}],
  ['temp dir', '/tmp', 'W', {}],
  ['ignore errors', 'no', 'W', {}],
  ['outgoing chmod', 'D755,F644', 'I', { outgoing_chmod: 'D755,F644' }],
  ['auth users', '@staff', 'R'],
  ['auth users', 'al*', 'R'],
  ['auth users', 'alice:rw', 'R'],
  ['auth users', 'alice:write', 'R'],
  ['auth users', 'alice:deny', 'R'],
  ['auth users', 'alice', 'R'],
  ['auth users', '', 'I', {}],
  ['secrets file', '/etc/secrets', 'D', {}],
  ['secrets file', 'secrets', 'R'],
  ['auth digest', 'SHA512', 'I', { auth_digest: 'sha512' }],
  ['auth digest', 'crc32', 'R'],
  ['strict modes', 'yes', 'I', {}],
  ['strict modes', 'no', 'R'],
  ['hosts allow', '10.0.0.1/255.0.0.0', 'D', { hosts_allow: ['10.0.0.0/8'] }],
  ['hosts allow', 'localhost', 'R'],
  ['hosts allow', '', 'I', {}],
  ['hosts deny', '*', 'D', { hosts_deny: ['all'] }],
  ['hosts deny', '*.bad.example', 'R'],
  ['reverse lookup', 'no', 'W', {}],
  ['forward lookup', 'yes', 'W', {}],
  ['ignore nonreadable', 'yes', 'I', { ignore_nonreadable: true }],
  ['timeout', '300', 'D', { timeout: 300n }],
  ['timeout', '0', 'W', {}],
  ['timeout', '-1', 'R'],
  ['refuse options', 'c delete* !delete-after', 'D', { refuse_options: ['c', 'delete*', '!delete-after'] }],
  ['dont compress', '*.gz *.iso', 'D', { dont_compress: ['*.gz', '*.iso'] }],
  ['early exec', '/bin/true', 'R'],
  ['pre-xfer exec', '/bin/true', 'R'],
  ['pre-xfer exec', '', 'I', {}],
  ['post-xfer exec', 'echo %RSYNC_PID%', 'R'],
];

const GLOBAL_ROWS: readonly Row[] = [
  ['motd file', '/etc/motd', 'D', { motd_file: '/etc/motd' }],
  ['motd file', 'motd', 'R'],
  ['pid file', '/run/pid', 'W', {}],
  ['port', '8730', 'D', { rsyncd: '[::]:8730' }],
  ['port', '0', 'D', { rsyncd: '[::]:873' }],
  ['port', '70000', 'R'],
  ['port', 'rsync', 'R'],
  ['address', '::1', 'D', { rsyncd: '[::1]:873' }],
  ['address', '192.0.2.1', 'D', { rsyncd: '192.0.2.1:873' }],
  ['address', '', 'I', { rsyncd: '[::]:873' }],
  ['address', '1.2.3', 'R'],
  ['socket options', 'SO_KEEPALIVE', 'W', {}],
  ['listen backlog', '5', 'W', {}],
  ['daemon chroot', '/srv', 'R'],
  ['daemon chroot', '', 'I', {}],
  ['daemon uid', 'root', 'D', {}],
  ['daemon gid', 'root', 'D', {}],
  ['proxy protocol', 'no', 'I', { proxy_protocol: false }],
  ['proxy protocol', 'yes', 'R'],
  ['proxy protocol hosts', '10.0.0.1', 'W', {}],
  ['proxy protocol hosts', '*', 'R'],
];

const titled = (rows: readonly Row[]) => rows.map((row) => [`${row[0]} = ${row[1]}`, row[2], row] as const);

describe('the table of parameters', () => {
  it('has the 11 global ones and the 48 of modules, each once', () => {
    const names = RSYNCD_PARAMS.map((row) => row.name);
    expect(new Set(names).size).toBe(59);
    expect(RSYNCD_PARAMS.filter((row) => row.scope === 'global')).toHaveLength(11);
  });

  it('is tested row by row', () => {
    const tested = new Set([...GLOBAL_ROWS, ...MODULE_ROWS].map(([name]) => name));
    expect(RSYNCD_PARAMS.map((row) => row.name).filter((name) => !tested.has(name))).toEqual([]);
  });

  it('refuses whatever security.md C refuses outright', () => {
    const refused = RSYNCD_PARAMS.filter((row) => row.verdict === 'R').map((row) => row.name);
    expect(refused).toEqual([
      'name converter',
      'insecure links',
      'charset',
      'write only',
      'uid',
      'gid',
      'fake super',
      'early exec',
      'pre-xfer exec',
      'post-xfer exec',
    ]);
  });
});

describe('a parameter of a module', () => {
  it.each(titled(MODULE_ROWS))('%s is %s', (_title, _letter, [name, value, letter, keys]) => {
    const path = name === 'path' ? '' : 'path = /srv';
    const text = `[m]\n${name} = ${value}\n${path}`;
    expect(verdictOn(2, text).letter).toBe(letter);
    const { keys: found, isRefused } = convertText(text).modules[0]!;
    expect(isRefused).toBe(letter === 'R');
    if (keys !== undefined) {
      expect(found).toEqual({ name: 'm', path: '/srv', ...keys });
    }
  });

  it('is inherited from the defaults and judged once', () => {
    const { modules, verdicts } = convertText('timeout = 5\npath = /srv\n[a]\n[b]\ntimeout = 6');
    expect(modules.map(({ keys }) => keys.timeout)).toEqual([5n, 6n]);
    expect(verdicts).toHaveLength(5);
  });

  it('that is refused as a default does no harm when every module sets it', () => {
    const text = 'read only = no\npath = /srv\n[a]\nread only = yes\n[b]\nread only = yes';
    expect(verdictOn(1, text)).toMatchObject({ letter: 'W', text: expect.stringContaining('not used') });
    expect(convertText(text).modules.map(({ isRefused }) => isRefused)).toEqual([false, false]);
  });

  it('refuses only the modules that need the line', () => {
    const { modules } = convertText('path = /srv\n[a]\ncharset = latin1\n[b]');
    expect(modules.map(({ isRefused }) => isRefused)).toEqual([true, false]);
  });
});

describe('max connections below zero', () => {
  it('leaves the module out with a warning', () => {
    const text = 'path = /srv\n[a]\nmax connections = -1\n[b]';
    expect(convertText(text).modules.map(({ keys }) => keys.name)).toEqual(['b']);
    expect(verdictOn(3, text)).toMatchObject({ letter: 'W', text: expect.stringContaining('left out') });
  });
});

describe('auth users', () => {
  const users = (value: string) =>
    convertText(`[m]\npath = /srv\nsecrets file = /s\nauth users = ${value}`).modules[0]?.keys.auth_users;

  it.each([
    ['alice, bob carol', ['alice', 'bob', 'carol']],
    ['alice:ro bob:RO', ['alice', 'bob']],
    ['joe:deny susan joe sam', ['susan', 'sam']],
    ['joe joe:deny', ['joe']],
    [', alice, bob', ['alice', 'bob']],
  ])('%s', (value, expected) => {
    expect(users(value)).toEqual(expected);
  });

  it('warns that old digests are refused unless auth digest admits them', () => {
    const text = '[m]\npath = /srv\nsecrets file = /s\nauth users = a\n';
    expect(verdictOn(4, text)).toMatchObject({ letter: 'W', text: expect.stringContaining('auth digest = md5') });
    expect(verdictOn(4, `${text}auth digest = md5`).letter).toBe('I');
  });

  it('takes a secrets file from the defaults, which other modules do without', () => {
    const { modules } = convertText('path = /srv\nsecrets file = /s\n[a]\nauth users = x\n[b]');
    expect(modules.map(({ keys }) => keys.secrets_file)).toEqual(['/s', undefined]);
  });
});

describe('symbolic links', () => {
  it('are restored where rsync would do so by default, unless munge symlinks says otherwise', () => {
    const munged = (text: string) => convertText(text).modules.map(({ keys }) => keys.munge_symlinks ?? null);
    expect(munged('use chroot = no\npath = /srv\n[a]\n[b]\nmunge symlinks = no\n[c]\nuse chroot = yes')).toEqual([
      true,
      false,
      null,
    ]);
  });
});

describe('a global parameter', () => {
  it.each(titled(GLOBAL_ROWS))('%s is %s', (_title, _letter, [name, value, letter, keys]) => {
    const text = `${name} = ${value}\n[m]\npath = /srv`;
    expect(verdictOn(1, text).letter).toBe(letter);
    const { global, listener } = convertText(text);
    expect(listener.isRefused).toBe(letter === 'R');
    if (keys !== undefined) {
      expect({ ...global.keys, ...listener.keys }).toEqual({ rsyncd: '[::]:873', ...keys });
    }
  });

  it('proxy protocol takes its trusted networks', () => {
    const { listener } = convertText('proxy protocol = yes\nproxy protocol hosts = 10.0.0.1/24\n');
    expect(listener.keys).toEqual({ rsyncd: '[::]:873', proxy_protocol: true, proxy_trusted: ['10.0.0.0/24'] });
  });
});

describe('a module without path', () => {
  it('is refused at its header', () => {
    expect(verdictOn(2, 'list = yes\n[m]')).toMatchObject({ letter: 'R', label: '[m]', text: 'has no path' });
  });
});
