import { describe, expect, it } from 'vitest';
import { commandsToTry, startSummary } from '../../../src/cli/start-summary.ts';
import { quieter, terminalOf } from '../../../src/cli/terminal.ts';
import { load, moduleText } from '../config/fixture.ts';

const PUB = { name: 'pub', list: true, auth: null };

describe('commandsToTry', () => {
  it.each([
    ['rsyncd', '127.0.0.1:873', PUB, 'rsync -av rsync://127.0.0.1/pub/ ./pub/'],
    ['rsyncd', '[::]:8730', PUB, 'rsync -av rsync://localhost:8730/pub/ ./pub/'],
    ['rsyncd', '[::1]:8730', PUB, "rsync -av 'rsync://[::1]:8730/pub/' ./pub/"],
    ['rsyncd', '127.0.0.1:1', { ...PUB, name: "it's" }, "rsync -av 'rsync://127.0.0.1:1/it'\\''s/' './it'\\''s/'"],
    ['anon_ssh', '0.0.0.0:22873', PUB, "rsync -e 'ssh -p 22873' -av rsync://localhost/pub/ ./pub/"],
    ['authorized_ssh', '127.0.0.1:22', PUB, "rsync -e 'ssh -p 22 -i KEY' -av rsync://127.0.0.1/pub/ ./pub/"],
    ['tls', '[::]:874', PUB, 'rsync-ssl -av rsync://localhost/pub/ ./pub/'],
    ['tls', '[::]:8740', PUB, 'rsync-ssl -av rsync://localhost:8740/pub/ ./pub/'],
  ] as const)('for %s on %s', (kind, address, module, command) => {
    expect(commandsToTry(kind, address, [module])[1]).toBe(command);
  });

  it('takes the first module that is listed, with a user where it needs a login', () => {
    const auth = { users: ['@group', 'alice'], digest: 'sha256', passwordOf: () => null } as const;
    const modules = [
      { ...PUB, name: 'hidden', list: false },
      { ...PUB, name: 'team', auth },
    ];
    expect(commandsToTry('rsyncd', '127.0.0.1:1', modules)[1]).toContain(' rsync://alice@127.0.0.1:1/team/ ');
  });

  it('is none for a socket that no URL can name', () => {
    expect(commandsToTry('rsyncd', '/run/gokr.sock', [PUB])).toEqual([]);
  });
});

describe('startSummary', () => {
  const config = load(moduleText('comment = "all of it"\nlist = false'));
  const guarantees = [
    { name: 'seccomp', holds: true, detail: 'Seccomp 2' },
    { name: 'landlock', holds: false, detail: 'not in this kernel' },
  ];
  const started = { config, listeners: [], monitoring: ['127.0.0.1:8738'], guarantees };

  it('has a table of each', () => {
    const text = startSummary(started, false);
    for (const line of [
      '  m  /usr  all of it (not listed)',
      '  http_monitoring  127.0.0.1:8738',
      '    http://127.0.0.1:8738/',
      '  holds  seccomp   Seccomp 2',
      '  FAILS  landlock  not in this kernel',
    ]) {
      expect(text.split('\n')).toContain(line);
    }
  });

  it('is coloured only where that is wanted', () => {
    expect(startSummary(started, false)).not.toContain('\x1b');
    expect(startSummary(started, true)).toContain('\x1b[31mFAILS\x1b[0m');
  });

  it('counts modules beyond the first twenty', () => {
    const modules = Array.from({ length: 25 }, () => config.modules[0]!);
    expect(startSummary({ ...started, config: { ...config, modules } }, false)).toContain('\n  and 5 more\n');
  });
});

describe('terminalOf', () => {
  const stream = { isTTY: true, columns: 100, rows: 30 } as const;

  it.each([
    [{ TERM: 'xterm' }, true, true],
    [{ TERM: 'xterm', NO_COLOR: '1' }, false, true],
    [{ TERM: 'xterm', NO_COLOR: '' }, true, true],
    [{ TERM: 'dumb' }, false, false],
    [{}, false, false],
  ])('with %j', (environment, isColoured, canMove) => {
    expect(terminalOf(stream, environment)).toMatchObject({ columns: 100, rows: 30, isColoured, canMove });
  });

  it('is null for a file or a pipe, and takes the usual size where nobody knows', () => {
    expect(terminalOf({ isTTY: false }, { TERM: 'xterm' })).toBeNull();
    expect(terminalOf({ isTTY: true, columns: 0 }, { TERM: 'xterm' })).toMatchObject({ columns: 80, rows: 24 });
  });
});

it('a start is silent only where nobody asked for more', () => {
  expect((['debug', 'info', 'warn', 'error'] as const).map(quieter)).toEqual(['debug', 'warn', 'warn', 'error']);
});
