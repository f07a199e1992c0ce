import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkText } from '../../../src/cli/check.ts';
import { load, makeDirectory, moduleText } from '../config/fixture.ts';

let place: ReturnType<typeof makeDirectory>;
beforeEach(() => {
  place = makeDirectory();
});
afterEach(() => place.remove());

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
      'list = false',
    ].join('\n');
    const text = checkText(load(`[[listener]]\nrsyncd = "[::]:873"\n${moduleText(lines)}`, place.dir));
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
        '  timeout: 600 s',
        '  log: session',
        '  settings: not listed',
      ].join('\n'),
    );
  });

  it('never shows a password', () => {
    place.file('secrets', 'alice:hunter2\n');
    const text = checkText(load(moduleText('auth_users = ["alice"]\nsecrets_file = "secrets"'), place.dir));
    expect(text).not.toContain('hunter2');
  });

  it('shows only limits that differ from their default', () => {
    const text = checkText(load(`max_connections = 9\n${moduleText()}`));
    expect(text).toContain('limits that differ from their default\n  connections = 9 (default 512)\n\n');
    expect(checkText(load(moduleText()))).toContain('limits that differ from their default\n  none\n');
  });

  it('lists security-relevant defaults that differ from rsync, with their effective values', () => {
    const text = checkText(load(`timeout = 77\n${moduleText()}`));
    expect(text).toContain('defaults that differ from rsync\n');
    expect(text).toContain('  timeout = 77: cannot be 0');
  });

  it('ends with the warnings, if there are any', () => {
    expect(checkText(load(`[limits]\nmergeDepth = 40\n${moduleText()}`))).toMatch(
      /\nwarnings\n {2}limits\.mergeDepth .*\n$/,
    );
    expect(checkText(load(moduleText()))).not.toContain('warnings');
  });
});
