import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { load, makeDirectory, moduleText, NO_FLAGS, refusal, UID } from './fixture.ts';

let place: ReturnType<typeof makeDirectory>;
beforeEach(() => {
  place = makeDirectory();
});
afterEach(() => place.remove());

const firstModule = (lines = '', dir?: string) => load(moduleText(lines), dir).modules[0]!;

describe('a module', () => {
  it('is listed, anonymous, numeric and unrestricted by default', () => {
    const { access, rules, ...rest } = firstModule();
    expect(rest).toEqual({
      name: 'm',
      path: '/usr',
      comment: '',
      list: true,
      auth: null,
      maxConnections: 0,
      bytesPerSecond: 0,
      numericIds: true,
      timeoutSec: 600,
      ignoreNonreadable: false,
      mungeSymlinks: false,
      outgoingChmod: null,
      queue: { places: 0, timeoutSec: 600 },
      refuseOptions: [],
      openNoatime: false,
      xattrs: false,
      dontCompress: null,
      logTransfers: 'session',
      logSample: 1,
      listCacheSec: 0,
      generationFile: '',
    });
    expect(rules).toEqual({ filter: [], includeFrom: [], include: [], excludeFrom: [], exclude: [] });
    expect(access.allows('203.0.113.1')).toBe(true);
  });

  it('takes every simple key', () => {
    const lines = [
      'comment = "c"',
      'list = false',
      'max_connections = 5',
      'numeric_ids = false',
      'timeout = "2m"',
      'ignore_nonreadable = true',
      'munge_symlinks = true',
      'refuse_options = ["c", "delete-*", "!delete-during"]',
      'open_noatime = true',
      'xattrs = true',
      'dont_compress = ["*.gz"]',
      'log_transfers = "off"',
    ].join('\n');
    expect(firstModule(lines)).toMatchObject({
      comment: 'c',
      list: false,
      maxConnections: 5,
      numericIds: false,
      timeoutSec: 120,
      ignoreNonreadable: true,
      mungeSymlinks: true,
      refuseOptions: ['c', 'delete-*', '!delete-during'],
      openNoatime: true,
      xattrs: true,
      dontCompress: ['*.gz'],
      logTransfers: 'off',
    });
  });

  it('inherits timeout and log_transfers from the top of the file', () => {
    const module = load(`timeout = 30\nlog_transfers = "off"\n${moduleText()}`).modules[0];
    expect(module).toMatchObject({ timeoutSec: 30, logTransfers: 'off' });
  });

  it('parses outgoing_chmod at load', () => {
    expect(firstModule('outgoing_chmod = "D755,F644"').outgoingChmod?.apply(0o100777)).toBe(0o100644);
    expect(refusal(() => firstModule('outgoing_chmod = "u+q"'))).toContain(
      'module[0].outgoing_chmod: "u+q" is not a mode',
    );
  });

  it('reads its rules, those of files relative to the configuration', () => {
    place.file('ex', '# c\n*.o\n\n*.a\n');
    place.file('in', '*.c\n');
    const lines =
      'filter = ["- *.bak"]\ninclude = ["a b"]\nexclude = ["/x/"]\nexclude_from = "ex"\ninclude_from = "in"';
    expect(firstModule(lines, place.dir).rules).toEqual({
      filter: ['- *.bak'],
      includeFrom: [Buffer.from('*.c')],
      include: ['a b'],
      excludeFrom: [Buffer.from('*.o'), Buffer.from('*.a')],
      exclude: ['/x/'],
    });
  });

  it.each([
    ['name = "a/b"', '"a/b" is not a module name'],
    ['name = ""', '"" is not a module name'],
    ['name = "#list"', '"#list" is not a module name'],
    [`name = "${'x'.repeat(65)}"`, 'at most 64 bytes'],
    ['name = "é"', 'is not a module name'],
  ])('has no such name: %s', (line, reason) => {
    expect(refusal(() => load(`[[module]]\n${line}\npath = "/usr"\n`))).toContain(reason);
  });

  it.each(['name = "m"', 'path = "/usr"'])('needs more than %s', (line) => {
    expect(refusal(() => load(`[[module]]\n${line}\n`, '/etc'))).toMatch(
      /^\/etc\/test\.toml:1: module\[0\]\.(name|path): missing/,
    );
  });

  it('cannot have the name of another', () => {
    expect(refusal(() => load(moduleText() + moduleText()))).toContain(
      'module[1].name: "m" is the name of an earlier module',
    );
  });

  it.each([
    ['comment = "a\\n@RSYNCD: EXIT"', 'without control characters'],
    ['comment = "a\\u001bb"', 'without control characters'],
    [`comment = "${'é'.repeat(129)}"`, 'at most 256 bytes'],
    ['timeout = 0', 'a timeout cannot be switched off'],
    ['max_connections = -1', 'from 0 to 65535'],
    ['list = "yes"', 'expected true or false'],
    ['exclude = "x"', 'an array of texts'],
    ['exclude = ["x", 5]', 'an array of texts'],
    ['exclude = [""]', 'none of them empty'],
    ['filter = [": .rsync-filter"]', 'module[0].filter[0]: merge rules are not allowed'],
    ['filter = ["- x", "dir-merge y"]', 'module[0].filter[1]: merge rules are not allowed'],
    ['filter = ["- x", "nonsense"]', 'filter[1]: Unknown filter rule'],
    ['exclude = ["- "]', 'exclude[0]: unexpected end of filter rule'],
    ['exclude_from = "none"', 'no such file'],
    ['include_from = "/dev/zero"', 'is not a regular file'],
    ['refuse_options = ["--delete"]', 'is not an option name'],
    ['refuse_options = ["delete compress"]', 'is not an option name'],
    ['auth_digest = "sha3"', 'expected one of "sha512"'],
    ['read_only = false', 'unknown key'],
    ['host_allow = ["all"]', 'the nearest known key is hosts_allow'],
  ])('refuses %j', (line, reason) => {
    expect(refusal(() => firstModule(line))).toContain(reason);
  });
});

describe('access to a module', () => {
  it('follows hosts_allow and hosts_deny', () => {
    const { access } = firstModule('hosts_allow = ["10.0.0.0/8"]\nhosts_deny = ["all"]');
    expect(['10.0.0.1', '11.0.0.1'].map(access.allows)).toEqual([true, false]);
  });

  it('follows acl', () => {
    const { access } = firstModule('acl = ["allow 10.0.0.0/8", "deny all"]');
    expect(['10.0.0.1', '11.0.0.1'].map(access.allows)).toEqual([true, false]);
  });

  it('cannot have both forms', () => {
    expect(refusal(() => firstModule('acl = ["deny all"]\nhosts_allow = ["all"]'))).toContain(
      'module[0].acl: cannot stand beside',
    );
  });

  it.each(['hosts_allow', 'hosts_deny', 'acl', 'auth_users'])('is refused when %s is an empty list', (key) => {
    expect(refusal(() => firstModule(`${key} = []`))).toContain(`module[0].${key}: an empty list is ambiguous`);
  });

  it.each([
    ['hosts_deny = ["10.0.0.0/8",\n"*.bad.example"]', ':5: module[0].hosts_deny[1]: "*.bad.example" is not a network'],
    ['hosts_allow = ["10.0.0.1/8"]', ':4: module[0].hosts_allow[0]: "10.0.0.1/8" has bits set'],
    ['acl = ["deny all", "allow x"]', ':4: module[0].acl[1]: "x" is not a network'],
  ])('names the line of a bad entry: %j', (line, reason) => {
    expect(refusal(() => firstModule(line))).toContain(reason);
  });
});

describe('login to a module', () => {
  const lines = 'auth_users = ["alice", "bob"]\nsecrets_file = "secrets"';

  it('gives the password of listed users only', () => {
    place.file('secrets', 'alice:a pw\nbob:b\nmallory:m\n');
    const { auth } = firstModule(lines, place.dir);
    expect(auth).toMatchObject({ users: ['alice', 'bob'], digest: 'sha256' });
    expect(
      ['alice', 'mallory', '', '__proto__'].map((user) => auth?.passwordOf(Buffer.from(user))?.toString()),
    ).toEqual(['a pw', undefined, undefined, undefined]);
  });

  it('does not show passwords when the configuration is printed', () => {
    place.file('secrets', 'alice:hunter2\nbob:b\n');
    expect(JSON.stringify(load(moduleText(lines), place.dir))).not.toContain('hunter2');
  });

  it('warns of a user without password', () => {
    place.file('secrets', 'alice:a\n');
    expect(load(moduleText(lines), place.dir).warnings).toEqual([
      'module m: user "bob" has no line in the secrets file and cannot log in',
    ]);
  });

  it('finds the secrets among the credentials', () => {
    place.file('secrets', 'alice:a\nbob:b\n');
    const context = { credentialsDirectory: place.dir, uid: UID };
    const { modules } = loadConfig(moduleText(lines), '/etc/test.toml', NO_FLAGS, context);
    expect(modules[0]?.auth?.passwordOf(Buffer.from('bob'))?.toString()).toBe('b');
  });

  it('refuses secrets that others may read, naming the key', () => {
    place.file('secrets', 'alice:a\n', 0o644);
    expect(refusal(() => firstModule(lines, place.dir))).toMatch(/:5: module\[0\]\.secrets_file: .* has mode 0644/);
  });

  it.each([
    ['auth_users = ["alice"]', 'auth_users: needs secrets_file'],
    ['secrets_file = "s"', 'secrets_file: needs auth_users'],
    ['auth_users = ["a b"]\nsecrets_file = "s"', 'auth_users[0]: "a b" is not a user name'],
    ['auth_users = ["a", "@group"]\nsecrets_file = "s"', 'auth_users[1]: "@group" is not a user name'],
    ['auth_users = ["a:rw"]\nsecrets_file = "s"', '"a:rw" is not a user name'],
    ['auth_users = ["*"]\nsecrets_file = "s"', '"*" is not a user name'],
    ['auth_users = ["a,b"]\nsecrets_file = "s"', '"a,b" is not a user name'],
  ])('refuses %j', (text, reason) => {
    expect(refusal(() => firstModule(text))).toContain(reason);
  });
});
