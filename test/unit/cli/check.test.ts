import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkText } from '../../../src/cli/check.ts';
import type { Config } from '../../../src/config/config.ts';
import { generateHostKey } from '../../../src/listener/ssh/ed25519-key.ts';
import { load, makeDirectory, moduleText, refusal, UID } from '../config/fixture.ts';

let place: ReturnType<typeof makeDirectory>;
beforeEach(() => {
  place = makeDirectory();
});
afterEach(() => place.remove());

const check = (config: Config): string => checkText(config, { credentialsDirectory: null, uid: UID });

describe('checkText', () => {
  it('shows a module with access table, users and filters in the order in which they are tried', () => {
    place.file('secrets', 'alice:hunter2\nbob:b\n');
    place.file('ex', '*.o\n');
    const lines = [
      'hosts_allow = ["10.0.0.0/8"]',
      'auth_users = ["alice", "bob"]',
      'secrets_file = "secrets"',
      'exclude = ["/private/"]',
      'include = ["*.c"]',
      'exclude_from = "ex"',
      'filter = ["- *.bak"]',
      'outgoing_chmod = "D755"',
      'max_connections = 3',
      'bandwidth_limit = "1MiB"',
      'list = false',
    ].join('\n');
    const text = check(load(`[[listener]]\nrsyncd = "[::]:873"\n${moduleText(lines)}`, place.dir));
    expect(text).toContain('listeners\n  rsyncd [::]:873\n');
    expect(text).toContain(
      [
        'module m',
        '  path: /usr',
        '  access: allow 10.0.0.0/8',
        '          otherwise deny',
        '  login: users: alice, bob',
        '  login: digest sha256 or stronger',
        '  filters, first match wins:',
        '    filter  - *.bak',
        '    include *.c',
        '    exclude *.o',
        '    exclude /private/',
        '  modes sent: D755',
        '  max connections: 3',
        '  bandwidth: 1048576 bytes per second',
        '  timeout: 600 s',
        '  log: session',
        '  settings: not listed',
      ].join('\n'),
    );
  });

  it('never shows a password', () => {
    place.file('secrets', 'alice:hunter2\n');
    const text = check(load(moduleText('auth_users = ["alice"]\nsecrets_file = "secrets"'), place.dir));
    expect(text).not.toContain('hunter2');
  });

  it('shows only limits that differ from their default', () => {
    const text = check(load(`max_connections = 9\n${moduleText()}`));
    expect(text).toContain('limits that differ from their default\n  connections = 9 (default 512)\n\n');
    expect(check(load(moduleText()))).toContain('limits that differ from their default\n  none\n');
  });

  it('lists security-relevant defaults that differ from rsync, with their effective values', () => {
    const text = check(load(`timeout = 77\n${moduleText()}`));
    expect(text).toContain('defaults that differ from rsync\n');
    expect(text).toContain('  timeout = 77: cannot be 0');
  });

  it('ends with the warnings, if there are any', () => {
    expect(check(load(`[limits]\nmergeDepth = 40\n${moduleText()}`))).toMatch(
      /\nwarnings\n {2}limits\.mergeDepth .*\n$/,
    );
    expect(check(load(moduleText()))).not.toContain('warnings');
  });
});

describe('an SSH listener in checkText', () => {
  const text = `[[listener]]\nauthorized_ssh = { address = ":1", authorized_keys = "users" }\n${moduleText()}`;
  const KEY = generateHostKey();
  const USER = generateHostKey().publicLine;

  it('shows the fingerprint of the host key and who may see what', () => {
    place.file('ssh_host_ed25519_key', KEY.toOpenSshPem('x'));
    place.file('users', `# staff\n${USER} a\nenvironment="GOKR_MODULES=m,n" ${KEY.publicLine}\n`);
    const shown = check(load(text, place.dir));
    expect(shown).toContain(`    host key: ${place.dir}/ssh_host_ed25519_key, ${KEY.fingerprint}\n`);
    expect(shown).toMatch(/^ {6}line 2: SHA256:\S+, all modules\n {6}line 3: SHA256:\S+, modules m, n$/m);
    expect(shown).toContain(`${place.dir}/users: line 3: GOKR_MODULES names "n", which is no module`);
    expect(shown).not.toContain('PRIVATE');
  });

  it('is refused without its host key, which is not made', () => {
    expect(refusal(() => check(load(text, place.dir)))).toBe(
      `"${place.dir}/ssh_host_ed25519_key": no such file; make the host key with --keygen`,
    );
  });

  it('has a warning when nobody can log in', () => {
    place.file('ssh_host_ed25519_key', KEY.toOpenSshPem('x'));
    place.file('users', 'ssh-ed25519 nonsense\n');
    expect(check(load(text, place.dir))).toMatch(/users: line 1 gives no access.*\n.*holds no usable key: nobody/);
  });
});
