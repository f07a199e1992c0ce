/** Malformed input before `OK`: greeting, module line, early input, login. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { hasRoot } from '../setup/clients.ts';
import { judge, openStage, type Stage, type Verdict } from './support/stage.ts';
import { enter, greeting, pullArguments } from './support/wire.ts';

type Case = readonly [title: string, sent: string | Buffer, verdict: Verdict];

const GREETING = greeting().toString();
const refused = (outcome: string, tells: RegExp): Verdict => ({ outcome, tells });

const GREETINGS: readonly Case[] = [
  [
    'a request of another protocol',
    'GET / HTTP/1.0\n',
    refused('access:greeting', /^@ERROR: protocol startup error$/m),
  ],
  ['an empty line', '\n', refused('access:greeting', /protocol startup error/)],
  ['a lower-case greeting', '@rsyncd: 31.0\n', refused('access:greeting', /protocol startup error/)],
  ['a negative version', '@RSYNCD: -31.0\n', refused('access:greeting', /protocol startup error/)],
  ['a version before 27', '@RSYNCD: 26\n', refused('access:protocol', /^@ERROR: protocol version mismatch$/m)],
  ['a version that falls back to 26', '@RSYNCD: 27.1\n', refused('access:protocol', /protocol version mismatch/)],
  ['a version beyond 40', '@RSYNCD: 41.0 md5\n', refused('access:protocol', /protocol version mismatch/)],
  ['a version of 400 digits', `@RSYNCD: ${'9'.repeat(400)}.0 md5\n`, refused('access:protocol', /version mismatch/)],
  [
    'version 31 without subprotocol',
    '@RSYNCD: 31\n',
    refused('access:greeting', /omitted the subprotocol value: @RSYNCD: 31$/m),
  ],
  ['version 32 without digests', '@RSYNCD: 32.0\n', refused('access:greeting', /omitted the digest name list/)],
  ['a NUL byte', '@RSYNCD: 31\0.0\n', refused('protocol', /^@ERROR: protocol error: NUL byte in the greeting$/m)],
  ['a line of 1023 bytes', `@RSYNCD: 31.0 ${'x'.repeat(1009)}`, refused('protocol', /greeting too long/)],
  ['control bytes', '\x1b[2J\x07\n', refused('access:greeting', /^@ERROR: protocol startup error$/m)],
  [
    'a PROXY header',
    'PROXY TCP4 10.0.0.1 10.0.0.2 1 873\r\n@RSYNCD: 31.0\npub\n',
    refused('access:greeting', /startup error/),
  ],
  ['the end of the stream', '', { outcome: 'peer-gone', tells: null }],
  ['the end of the stream in the middle of the line', '@RSYNCD: 31', { outcome: 'peer-gone', tells: null }],
];

const MODULE_LINES: readonly Case[] = [
  ['an unknown module', 'nothing\n', refused('access:unknown-module', /^@ERROR: Unknown module 'nothing'$/m)],
  ['a module with a slash', 'pub/\n', refused('access:unknown-module', /Unknown module 'pub\/'/)],
  ['a module with a blank', 'pub \n', refused('access:unknown-module', /Unknown module 'pub '/)],
  ['a module in upper case', 'PUB\n', refused('access:unknown-module', /Unknown module 'PUB'/)],
  ['a path', '../pub\n', refused('access:unknown-module', /Unknown module/)],
  [
    'control bytes, which it shows escaped',
    'a\x1b[2J\n',
    refused('access:unknown-module', /^@ERROR: Unknown module 'a\\#033\[2J'$/m),
  ],
  [
    'a forged second line, which stays in its line',
    'a\x0b@ERROR: b\n',
    refused('access:unknown-module', /module 'a\\#013@ERROR: b'/),
  ],
  ['1000 bytes, of which it shows 256', `${'a'.repeat(1000)}\n`, refused('access:unknown-module', /'a{256}\.\.\.'$/m)],
  ['a name of an object property', '__proto__\n', refused('access:unknown-module', /Unknown module '__proto__'/)],
  ['an unknown command', '#status\n', refused('access:command', /^@ERROR: Unknown command '#status'$/m)],
  ['a command in upper case', '#LIST\n', refused('access:command', /Unknown command '#LIST'/)],
  ['a NUL byte', 'pub\0\n', refused('protocol', /NUL byte in the module request/)],
  ['a line of 1023 bytes', 'x'.repeat(1023), refused('protocol', /module request too long/)],
  ['the end of the stream', 'pu', { outcome: 'peer-gone', tells: null }],
];

const earlyInput = (length: string): Case => [
  `early input of length "${length}"`,
  `#early_input=${length}\npub\n`,
  refused('access:command', /^@ERROR: invalid early_input length$/m),
];

const EARLY_INPUTS: readonly Case[] = [
  ...['0', '-1', '5121', '4294967297', '99999999999999999999', '0x10', '1e3', '', ' 5'].map(earlyInput),
  [
    'early input twice',
    '#early_input=1\nx#early_input=1\nxpub\n',
    refused('access:command', /Unknown command '#early_input=1'/),
  ],
  ['early input that ends too soon', '#early_input=100\nabc', { outcome: 'peer-gone', tells: null }],
  [
    'early input of 5120 bytes before an unknown module',
    `#early_input=5120\n${'\0'.repeat(5120)}no\n`,
    refused('access:unknown-module', /Unknown module 'no'/),
  ],
];

const failed = refused('access:auth', /^@ERROR: auth failed on module locked$/m);
const LOGINS: readonly Case[] = [
  ['without a blank', 'alice\n', failed],
  ['of nothing', '\n', failed],
  ['of a blank', ' \n', failed],
  ['with a comment for a name', '#alice abc\n', failed],
  ['with an empty response', 'alice \n', failed],
  ['of an unknown user', 'mallory abc\n', failed],
  ['of a name of an object property', '__proto__ abc\n', failed],
  ['with a NUL byte', 'alice\0 abc\n', refused('protocol', /NUL byte in the authentication answer/)],
  ['of 513 bytes', `alice ${'x'.repeat(507)}`, refused('protocol', /authentication answer too long/)],
  ['that ends too soon', 'ali', { outcome: 'peer-gone', tells: null }],
];

describe.skipIf(!hasRoot())('before OK, the daemon', { timeout: 20_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({
      prepare: (dir) => writeFileSync(join(dir, 'secrets'), 'alice:secret\n', { mode: 0o600 }),
      modules: (dir) => [
        { name: 'locked', path: join(dir, 'pub'), keys: { auth_users: ['alice'], secrets_file: join(dir, 'secrets') } },
      ],
    });
  });
  afterAll(() => stage.close());
  afterEach(() => stage.expectHonestPull());

  /** Cases that end the stream say so by having nothing to tell. */
  const play = async (sent: Buffer, verdict: Verdict): Promise<void> => {
    await stage.expectVerdict({ send: sent, ends: verdict.tells === null }, verdict);
  };

  it.each(GREETINGS)('refuses as a greeting %s', (_title, sent, verdict) => play(Buffer.from(sent as string), verdict));

  it.each(MODULE_LINES)('refuses as a module line %s', (_title, sent, verdict) =>
    play(Buffer.from(`${GREETING}${sent}`), verdict),
  );

  it.each(EARLY_INPUTS)('refuses %s', (_title, sent, verdict) => play(Buffer.from(`${GREETING}${sent}`), verdict));

  it.each(LOGINS)('refuses a login %s', async (_title, sent, verdict) => {
    const peer = await stage.connect();
    peer.send('@RSYNCD: 31.0 sha256\nlocked\n');
    await peer.untilText('AUTHREQD');
    peer.send(sent);
    if (verdict.tells === null) peer.end();
    judge(await stage.finish(peer), 31, verdict);
  });

  it('forgets a client that resets the connection', async () => {
    const peer = await stage.connect();
    await peer.untilText('\n');
    peer.reset();
    expect(await stage.sessionEnd(peer)).toMatchObject({ outcome: 'peer-gone' });
  });

  it('accepts greeting, module line and arguments in one segment', async () => {
    const peer = await stage.connect();
    peer.send(enter('pub'), pullArguments());
    await peer.until((received) => received.length > received.indexOf('OK\n') + 7);
    peer.end();
    expect((await stage.finish(peer)).line).toMatchObject({ module: 'pub', protocol: 31 });
  });

  it('accepts lines that arrive byte by byte and end in CR LF', async () => {
    const peer = await stage.connect();
    for (const byte of Buffer.from(`${GREETING.replace('\n', '\r\n')}pub\r\n`)) await peer.push(Buffer.from([byte]));
    await peer.untilText('@RSYNCD: OK\n');
    peer.end();
    await stage.finish(peer);
  });

  it('writes one line about each of the sessions above, and no other', () => stage.expectOneLinePerSession());
});
