import { describe, expect, it } from 'vitest';
import { parseCommandLine } from '../../../src/cli/options.ts';
import { EXIT, UsageError } from '../../../src/errors.ts';
import { NO_FLAGS } from '../config/fixture.ts';

/** The UsageError of a command line. */
function refused(...argv: string[]): UsageError {
  try {
    parseCommandLine(argv);
  } catch (error) {
    if (error instanceof UsageError) {
      return error;
    }
    throw error;
  }
  throw new Error('was not refused');
}

describe('parseCommandLine', () => {
  it.each([[[]], [['--daemon']], [['--daemon', '--no-detach']]])('serves for %j', (argv) => {
    expect(parseCommandLine(argv)).toEqual({ kind: 'serve', flags: NO_FLAGS, modulesIn: null, strictSandbox: false });
  });

  it('collects every flag, values behind = or apart', () => {
    const argv = '--daemon --config=a.toml --gokr.modulemap x=/a --gokr.modulemap=y=/b=c --port 8 --address=::'.split(
      ' ',
    );
    expect(parseCommandLine(argv)).toEqual({
      kind: 'serve',
      flags: {
        file: 'a.toml',
        listen: null,
        anonSshListen: null,
        monitoringListen: null,
        port: '8',
        address: '::',
        modules: ['x=/a', 'y=/b=c'],
      },
      modulesIn: null,
      strictSandbox: false,
    });
  });

  it('knows --gokr.config, --gokr.listen and --check', () => {
    expect(parseCommandLine(['--check', '--gokr.config', 'b', '--gokr.listen=:1'])).toEqual({
      kind: 'check',
      flags: { ...NO_FLAGS, file: 'b', listen: ':1' },
      modulesIn: null,
      strictSandbox: false,
    });
  });

  it.each([
    [[], 3_600_000],
    [['--once-timeout=1'], 1000],
    [['--once-timeout', '90s'], 90_000],
    [['--once-timeout=2h'], 7_200_000],
    [['--once-timeout=2147483s'], 2_147_483_000],
  ])('knows --once with %j', (argv, timeoutMs) => {
    const asked = ['--once', '--gokr.modulemap=bak=/home', '--gokr.listen=/run/once', ...argv];
    const flags = { ...NO_FLAGS, listen: '/run/once', modules: ['bak=/home'] };
    expect(parseCommandLine(asked)).toEqual({ kind: 'once', flags, timeoutMs });
  });

  it.each([
    [['--once'], 'needs a module'],
    [['--once-timeout=5'], 'only allowed beside --once'],
    [['--once', '--config=a', '--port=1'], '--port, --address and SSH are not for it'],
    [['--once', '--config=a', '--gokr.anonssh_listen=:1'], '--port, --address and SSH are not for it'],
    ...['0', '-1', '1.5', '5d', 'x', '2147484', '9999999999'].map((time): [string[], string] => [
      ['--once', '--config=a', `--once-timeout=${time}`],
      `--once-timeout=${time} is not allowed`,
    ]),
  ])('refuses %j', (argv, reason) => {
    expect(refused(...argv).message).toContain(reason);
  });

  it('knows --gokr.anonssh_listen', () => {
    expect(parseCommandLine(['--gokr.anonssh_listen=[::]:22873'])).toMatchObject({
      kind: 'serve',
      flags: { ...NO_FLAGS, anonSshListen: '[::]:22873' },
    });
  });

  it.each([
    [['--keygen'], null],
    [['--keygen=key'], 'key'],
    [['--keygen', 'key'], 'key'],
  ])('makes a host key for %j', (argv, file) => {
    expect(parseCommandLine(argv)).toEqual({ kind: 'keygen', file });
  });

  it('takes no option for the file of a host key', () => {
    expect(refused('--keygen', '--check').tell).toContain('--keygen needs a value');
  });

  it('takes the last of several values, as rsync does', () => {
    expect(parseCommandLine(['--config=a', '--gokr.config=b'])).toMatchObject({ flags: { file: 'b' } });
  });

  it.each([
    ['--help', 'help'],
    ['-h', 'help'],
    ['--version', 'version'],
    ['-V', 'version'],
  ])('answers %s before anything else', (argument, kind) => {
    expect(parseCommandLine(['--check', '--port=1', argument])).toEqual({ kind });
  });

  it.each([
    ['--demon', 'unknown option "--demon"; the nearest known option is --daemon'],
    ['--gokr.module=x=/a', 'the nearest known option is --gokr.modulemap'],
    ['-x', 'unknown option "-x"'],
    ['--\u001b[2J', 'unknown option "--\\u001b[2J"'],
    ['--__proto__', 'unknown option "--__proto__"'],
    ['--check=1', '--check takes no value'],
    ['--config', '--config needs a value: --config=FILE'],
    ['--config=', '--config needs a value'],
    ['file', 'unexpected argument "file"'],
  ])('refuses %j as a usage error', (argument, reason) => {
    const error = refused(argument);
    expect(error.tell).toContain(reason);
    expect(error.exit).toBe(EXIT.SYNTAX);
  });

  it('does not take the next option for a value', () => {
    expect(refused('--config', '--daemon').tell).toContain('--config needs a value');
  });

  it('refuses arguments behind --', () => {
    expect(refused('--daemon', '--', '--check').tell).toContain('unexpected argument "--check"');
  });
});

describe('rsync server mode', () => {
  it.each([
    [['--server', '-logDtpre.iLsfxCIvu', '.', '/tmp']],
    [['--server', '--nonsense', '--config']],
    [['--server', '-r', '.', '--sender']],
    [['--server']],
  ])('refuses the upload %j before it looks at anything else', (argv) => {
    const error = refused(...argv);
    expect(error.tell).toContain('read-only: uploads are refused');
    expect(error.exit).toBe(1);
  });

  it('hands the whole command line of a pull to the command mode', () => {
    expect(parseCommandLine(['--server', '--sender', '-r', '.', '/tmp'])).toEqual({ kind: 'shell' });
  });

  it('serves one client with --daemon', () => {
    expect(parseCommandLine(['--server', '--daemon', '.'])).toMatchObject({ kind: 'shell-daemon' });
  });

  it('serves a forced command with --restrict', () => {
    expect(parseCommandLine(['--restrict', '/srv/backup'])).toEqual({ kind: 'restrict', directory: '/srv/backup' });
  });
});
