import { describe, expect, it } from 'vitest';
import { pullArguments, runRestricted } from '../../../src/cli/restrict.ts';
import { UsageError } from '../../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';

const allowed = (command: string) =>
  pullArguments(Buffer.from(command, 'latin1'), DEFAULT_LIMITS).map((arg) => arg.toString('latin1'));

function refusal(command: string): UsageError {
  try {
    allowed(command);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error('was not refused');
}

describe('a restricted key', () => {
  it.each(['rsync', '/usr/bin/rsync', 'gokr-rsyncd', '/opt/gokr-rsyncd'])('runs %s', (program) => {
    expect(allowed(`${program} --server --sender -vlogDtprxz --numeric-ids . /`)).toEqual([
      '--server',
      '--sender',
      '-vlogDtprxz',
      '--numeric-ids',
      '.',
      '/',
    ]);
  });

  it.each([
    ['a b', ['a', 'b']],
    ['a\\ b', ['a b']],
    ["'a b'", ['a b']],
    ['a\\*b', ['a\\*b']],
    ['*.c', ['*.c']],
    ['"[x]"*', ['\\[x\\]*']],
    ['a\\\\b', ['a\\\\b']],
    ['~', ['']],
    ['~/x', ['/x']],
    ['\\~/x', ['~/x']],
    ['~user/x', ['~user/x']],
    ['\\$\\(x\\)', ['$(x)']],
    ["''", ['']],
    ['caf\xe9', ['caf\xe9']],
    ['. .', ['.', '.']],
    ['--sender', ['--sender']],
  ])('reads the paths %j as a shell would', (paths, expected) => {
    expect(allowed(`rsync --server --sender -r . ${paths}`).slice(4)).toEqual(expected);
  });

  it('leaves the values of options as the client meant them', () => {
    expect(allowed('rsync --server --sender --skip-compress=gz/z\\[ip\\] . x')[2]).toBe('--skip-compress=gz/z[ip]');
  });

  it.each([
    ['', 'only serves rsync'],
    ['sh', 'only serves rsync'],
    ['rsync.sh --server --sender . /', 'only serves rsync'],
    ['rsync\\ --server --sender . /', 'only serves rsync'],
    ['rsync -a / /tmp', 'of a remote client'],
    ['rsync', 'of a remote client'],
    ['rsync --server', 'uploads are refused'],
    ['rsync --server . /', 'uploads are refused'],
    ['rsync --server -e --sender . /', 'uploads are refused'],
    ['rsync --server --daemon .', 'no modules'],
    ['rsync --server --sender . /;id', 'only a shell understands'],
    ['rsync --server --sender . /\nid', 'only a shell understands'],
    ['rsync --server --sender . $HOME', 'only a shell understands'],
    ['rsync --server --sender . `id`', 'only a shell understands'],
    ['rsync --server --sender . "`id`"', 'only a shell understands'],
    ['rsync --server --sender . <x', 'only a shell understands'],
    ['rsync --server --sender . "x', 'an open quote'],
    [`rsync --server --sender .${' x'.repeat(2000)}`, 'too many words'],
  ])('refuses %j with a reason and exit code 1', (command, reason) => {
    const error = refusal(command);
    expect(error.tell).toContain(reason);
    expect(error.exit).toBe(1);
  });

  it('has no shell, and needs an absolute directory', async () => {
    await expect(runRestricted('/srv', null)).rejects.toThrow('there is no shell');
    await expect(runRestricted('srv', Buffer.from('rsync --server --sender . /'))).rejects.toThrow('an absolute path');
  });
});
