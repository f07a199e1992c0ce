/** The log in rsyncd's lines. What C rsync writes for the same sessions was recorded from version 3.5.0. */
import { describe, expect, it } from 'vitest';
import { textLines } from '../../../src/observe/text-format.ts';

const TIME = '2026-11-28T02:25:57.123Z';

/** The lines without their clock, which is local time. */
const linesOf = (fields: Record<string, unknown>): string[] =>
  textLines(JSON.stringify({ level: 'info', time: TIME, ...fields })).map((line) => {
    expect(line).toMatch(/^2026\/11\/2[789] \d\d:\d\d:57 \[\d+\] [^\n]*\n$/);
    return line.slice(20).trimEnd();
  });

const SESSION = { peer: '127.0.0.1', port: 24503, module: 'pub', msg: 'session ended' };

describe('text lines', () => {
  it('name each file', () => {
    const file = { peer: '127.0.0.1', port: 24503, module: 'pub', file: 'dir/f<10>', size: 100_000, sent: 100_040 };
    expect(linesOf({ ...file, msg: 'file sent' })).toEqual([
      '[24503] send UNDETERMINED [127.0.0.1] pub () dir/f<10> 100000',
    ]);
    expect(linesOf({ ...file, user: 'alice', msg: 'file sent' })).toEqual([
      '[24503] send UNDETERMINED [127.0.0.1] pub (alice) dir/f<10> 100000',
    ]);
  });

  it('sum up a transfer', () => {
    const sums = { bytesSent: 4_003_445, bytesReceived: 809, totalSize: 4_000_000 };
    const outcome = { outcome: 'ok', exit: 0 };
    expect(linesOf({ ...SESSION, user: 'alice', ...sums, ...outcome })).toEqual([
      '[24503] rsync on pub/ from alice@UNDETERMINED (127.0.0.1)',
      '[24503] sent 4003445 bytes  received 809 bytes  total size 4000000',
    ]);
  });

  it.each([
    [
      'access:auth',
      'authentication failed: wrong password',
      'auth failed on module pub from UNDETERMINED (127.0.0.1): wrong password',
    ],
    ['access:denied', 'address not allowed', 'rsync denied on module pub from UNDETERMINED (127.0.0.1)'],
    ['access:unknown-module', 'unknown module', 'unknown module tried from UNDETERMINED (127.0.0.1)'],
    ['access:max-connections', 'module is full', 'max connections reached on module pub from UNDETERMINED (127.0.0.1)'],
  ])('say why a client was refused: %s', (outcome, detail, text) => {
    expect(linesOf({ ...SESSION, outcome, exit: 5, detail })).toEqual([`[24503] ${text}`]);
  });

  it('say what ended a session', () => {
    const failed = { outcome: 'protocol', exit: 2, detail: 'bad index', bytesSent: 1, bytesReceived: 2 };
    expect(linesOf({ ...SESSION, ...failed })).toEqual([
      '[24503] rsync on pub/ from UNDETERMINED (127.0.0.1)',
      '[24503] sent 1 bytes  received 2 bytes  total size 0',
      '[24503] rsync error: bad index (code 2) from UNDETERMINED (127.0.0.1)',
    ]);
    const { module: _, ...early } = SESSION;
    expect(linesOf({ ...early, outcome: 'ok', exit: 0 })).toEqual([
      '[24503] module-list request from UNDETERMINED (127.0.0.1)',
    ]);
    expect(linesOf({ ...early, ...failed })).toHaveLength(1);
  });

  it('keep everything else on one line, with its facts', () => {
    expect(linesOf({ address: '[::]:873', note: 'a b', msg: 'listening' })).toEqual([
      `[${process.pid}] listening address=[::]:873 note="a b"`,
    ]);
    expect(linesOf({ level: 'warn', msg: 'careful' })).toEqual([`[${process.pid}] warn: careful`]);
  });

  it('escape what could drive a terminal or forge a line', () => {
    const file = 'a\n2026/11/28 02:25:57 [1] auth failed\x1b[2J';
    const [line] = linesOf({ peer: '192.0.2.1', port: 1, module: 'pub', file, size: 1, msg: 'file sent' });
    expect(line).toContain('a\\n2026/11/28 02:25:57 [1] auth failed\\x1b[2J 1');
  });
});
