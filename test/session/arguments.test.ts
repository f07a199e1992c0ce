/** Malformed argument lists, in both framings and in the second list of -s. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { hasRoot } from '../setup/clients.ts';
import { openStage, type Stage, type Verdict } from './support/stage.ts';
import { argumentList, enter, NO_MORE_FILTERS } from './support/wire.ts';

const SERVER = ['--server', '--sender'];
const CAPABLE = '-re.LsfxC';

type ListCase = readonly [title: string, args: readonly string[], verdict: Verdict];

const usage = (tells: RegExp, exit = 4): Verdict => ({ outcome: 'usage', tells, exit });
const limit = (name: string): Verdict => ({
  outcome: `limit:${name}`,
  tells: new RegExp(`^rsync: \\[sender\\] limit ${name} reached: `),
  exit: 12,
});
const READ_ONLY = usage(/^ERROR: module is read only\n$/, 1);
const HACK = usage(/^rsync: Attempt to hack rsync thwarted!\n$/);

/** Lists that are complete; their answer comes behind a preamble that the client can follow. */
const LISTS: readonly ListCase[] = [
  ['an empty list', [], usage(/^ERROR: --server is missing\n$/, 1)],
  ['a dot alone', ['.'], usage(/^ERROR: --server is missing\n$/, 1)],
  ['--server alone', ['--server'], READ_ONLY],
  ['an upload', ['--server', '-re.LsfxC', '.', 'pub/'], READ_ONLY],
  ['an upload that deletes', ['--server', '--delete', CAPABLE, '.', 'pub/'], READ_ONLY],
  ['no dot', [...SERVER, CAPABLE], usage(/^ERROR: the argument list has no "\."\n$/, 1)],
  ['a path before the dot', [...SERVER, CAPABLE, 'pub/', '.', 'pub/'], usage(/argument before the lone/)],
  [
    'an unknown long option',
    [...SERVER, CAPABLE, '--no-such', '.', 'pub/'],
    usage(/^rsync: on remote machine: --no-such: unknown option\n$/),
  ],
  ['an unknown letter', [...SERVER, '-rZe.LsfxC', '.', 'pub/'], usage(/unknown option/)],
  ['an option that lacks its value', [...SERVER, CAPABLE, '--timeout'], usage(/missing argument/)],
  [
    'a value that an option does not take',
    [...SERVER, CAPABLE, '--owner=5', '.', 'pub/'],
    usage(/does not take an argument/),
  ],
  ['a number with letters', [...SERVER, CAPABLE, '--timeout=5x', '.', 'pub/'], usage(/invalid numeric value/)],
  [
    'a number beyond 32 bits',
    [...SERVER, CAPABLE, '--checksum-seed=4294967296', '.', 'pub/'],
    usage(/number too large/),
  ],
  [
    'an unknown checksum',
    [...SERVER, CAPABLE, '--checksum-choice=crc32', '.', 'pub/'],
    usage(/unknown checksum name: crc32/),
  ],
  [
    'control bytes, which it shows escaped',
    [...SERVER, CAPABLE, '--a\x1b[2J', '.', 'pub/'],
    usage(/--a\\#033\[2J: unknown option/),
  ],
  ['--daemon', [...SERVER, CAPABLE, '--daemon', '.', 'pub/'], HACK],
  ['--config', [...SERVER, CAPABLE, '--config=/etc/shadow', '.', 'pub/'], HACK],
  [
    '--iconv',
    [...SERVER, CAPABLE, '--iconv=utf8', '.', 'pub/'],
    usage(/^rsync: The server is configured to refuse --iconv\n$/),
  ],
  ['--write-devices', [...SERVER, CAPABLE, '--write-devices', '.', 'pub/'], usage(/refuse --write-devices/)],
  ['--log-file', [...SERVER, CAPABLE, '--log-file=/tmp/x', '.', 'pub/'], usage(/refuse --log-file/)],
  [
    '--remove-source-files',
    [...SERVER, CAPABLE, '--remove-source-files', '.', 'pub/'],
    usage(/^ERROR: --remove-source-files cannot be used with a read-only module\n$/, 1),
  ],
  [
    'an unknown option behind a good one, whose capabilities still count',
    [...SERVER, '--bogus', CAPABLE, '.', 'pub/'],
    usage(/--bogus: unknown option/),
  ],
];

/** Lists that never become options: all-zero flags are the preamble of their answer. */
const BROKEN_LISTS: readonly ListCase[] = [
  ['an argument of 5120 bytes', [...SERVER, 'x'.repeat(5120)], limit('argBytes')],
  ['1001 arguments', [...SERVER, ...Array<string>(999).fill('-v')], limit('args')],
  ['more than 256 KiB of arguments', [...SERVER, ...Array<string>(60).fill('x'.repeat(5000))], limit('argsTotalBytes')],
];

/** The second list of -s: always ends its arguments with NUL, and begins with one that is dropped. */
function secluded(protocol: number, first: readonly string[], second: readonly string[]): Buffer {
  return Buffer.concat([argumentList(first, protocol), argumentList(['rsync', ...second], 31)]);
}

const SECLUDED: readonly ListCase[] = [
  ['an empty list', [], usage(/no "\."/, 1)],
  ['another -s', ['-s', '.', 'pub/'], usage(/refuse --secluded-args \(-s\)/)],
  ['--protect-args', ['--protect-args', '.', 'pub/'], usage(/refuse --protect-args/)],
  ['--server', ['--server', '.', 'pub/'], usage(/refuse --server/)],
  ['--sender', ['--sender', '.', 'pub/'], usage(/refuse --sender/)],
  ['--daemon', ['--daemon', '.', 'pub/'], HACK],
  ['an option that is always refused', ['--copy-devices', '.', 'pub/'], usage(/refuse --copy-devices/)],
  ['an option that the module refuses', ['--checksum', '.', 'pub/'], usage(/refuse --checksum/)],
  ['an unknown option', ['--bogus', '.', 'pub/'], usage(/--bogus: unknown option/)],
];

describe.skipIf(!hasRoot())('of argument lists, the daemon', { timeout: 20_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({ keys: { refuse_options: ['checksum'] } });
  });
  afterAll(() => stage.close());
  afterEach(() => stage.expectHonestPull());

  /** Plays the dialogue of each protocol; they differ in framing, preamble and what can be told. */
  async function play(list: (protocol: number) => Buffer, verdict: Verdict, ends = false): Promise<void> {
    for (const protocol of [27, 29, 30, 31]) {
      const send = Buffer.concat([enter('pub', protocol), list(protocol), ends ? Buffer.alloc(0) : NO_MORE_FILTERS]);
      const { answer } = await stage.expectVerdict({ protocol, send, ends }, verdict);
      expect(answer.isWhole).toBe(true);
    }
  }

  it.each(LISTS)('refuses %s', (_title, args, verdict) => play((protocol) => argumentList(args, protocol), verdict));

  it.each(BROKEN_LISTS)('refuses %s', (_title, args, verdict) =>
    play((protocol) => argumentList(args, protocol), verdict),
  );

  it.each(SECLUDED)('refuses in a second list %s', (_title, second, verdict) =>
    play((protocol) => secluded(protocol, [...SERVER, protocol < 30 ? '-sr' : '-sre.Lsf'], second), verdict),
  );

  it('counts both lists of -s together', async () => {
    const letters = Array<string>(500).fill('-v');
    const list = (protocol: number) => secluded(protocol, [...SERVER, ...letters, '-rs'], [...letters, '.', 'pub/']);
    await play(list, limit('args'));
  });

  it('ends without a word when the list ends too soon', async () => {
    await play(
      (protocol) => argumentList(SERVER, protocol).subarray(0, 15),
      { outcome: 'peer-gone', tells: null },
      true,
    );
  });

  it.each([27, 28, 29])('refuses a NUL byte in an argument at protocol %i', async (protocol) => {
    const send = Buffer.concat([enter('pub', protocol), argumentList([...SERVER, '-r\0x', '.'], protocol)]);
    const verdict = { outcome: 'protocol', tells: /^rsync: \[sender\] protocol error: NUL byte in an argument\n$/ };
    await stage.expectVerdict({ protocol, send }, verdict);
  });

  it.each([27, 29])('refuses an empty argument between carriage returns at protocol %i', async (protocol) => {
    const send = Buffer.concat([enter('pub', protocol), Buffer.from('--server\r\r--sender\n')]);
    await stage.expectVerdict({ protocol, send }, { outcome: 'protocol', tells: /protocol error: empty argument\n$/ });
  });

  it('ends when a second list never does', async () => {
    const endless = Buffer.from('rsync\0'.repeat(2000));
    const send = Buffer.concat([enter('pub'), argumentList([...SERVER, '-rs']), endless]);
    await stage.expectVerdict({ send }, limit('args'));
  });

  it('writes one line about each of the sessions above, and no other', () => stage.expectOneLinePerSession());
});
