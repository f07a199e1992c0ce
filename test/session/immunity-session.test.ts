/** Public rsync issues in the text phase, in logins and in arguments: one test for each row of security.md A.1 that a daemon can suffer there. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { smallestGrowthMiB } from '../helpers/steady-memory.ts';
import { hasRoot } from '../setup/clients.ts';
import type { Peer } from './support/peer.ts';
import { NDX, openStage, type Played, type Stage } from './support/stage.ts';
import {
  allDone,
  argumentList,
  data,
  enter,
  greeting,
  ItemWriter,
  NO_MORE_FILTERS,
  pullArguments,
  sumHead,
  TRANSFER,
} from './support/wire.ts';

const MIB = 1024 * 1024;

describe.skipIf(!hasRoot())('immunity before the transfer', { timeout: 30_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({
      // Hundreds of sessions in a second: their lines must all be there.
      globals: { 'limits.logLinesPerSecond': 100_000 },
      prepare: (dir) => writeFileSync(join(dir, 'secrets'), 'alice:secret', { mode: 0o600 }),
      modules: (dir) => {
        const secrets = join(dir, 'secrets');
        const path = join(dir, 'pub');
        return [
          { name: 'locked', path, keys: { auth_users: ['alice'], secrets_file: secrets, auth_digest: 'md5' } },
          { name: 'single', path, keys: { max_connections: 1 } },
          { name: 'floor', path, keys: { auth_users: ['alice'], secrets_file: secrets } },
        ];
      },
    });
  });
  afterAll(() => stage.close());
  afterEach(() => stage.expectHonestPull());

  const threads = (): number =>
    Number(/^Threads:\s+(\d+)/m.exec(readFileSync(`/proc/${stage.server.pid}/status`, 'latin1'))![1]);

  const upToList = (options: readonly string[] = []): Buffer =>
    Buffer.concat([enter('pub'), pullArguments(options), data(31, NO_MORE_FILTERS)]);

  const request = (head: Uint8Array, ...sums: Uint8Array[]): Buffer =>
    new ItemWriter().item(NDX.file, TRANSFER, head, ...sums);

  async function outcomeOf(send: Buffer): Promise<Played> {
    return stage.play({ send, ends: true });
  }

  it('CVE-2003-0962: a line without an end costs no memory in any phase', async () => {
    const endless = Buffer.alloc(MIB, 'x');
    const starts: readonly (readonly [string, Buffer])[] = [
      ['protocol', Buffer.alloc(0)],
      ['protocol', greeting()],
      ['limit:argBytes', enter('pub')],
      ['limit:argBytes', enter('pub', 29)],
      [
        'protocol',
        Buffer.concat([enter('pub', 29), pullArguments(['--files-from=-', '--from0'], 29), NO_MORE_FILTERS]),
      ],
    ];
    const offerAll = async (): Promise<void> => {
      for (const [outcome, start] of starts) {
        const peer = await stage.connect();
        peer.send(start);
        for (let sent = 0; sent < 64 && (await peer.push(endless)); sent++);
        expect((await stage.finish(peer)).line.outcome).toBe(outcome);
      }
    };
    // 320 MiB in each round.
    expect(await smallestGrowthMiB(stage.server.pid, 4, offerAll)).toBeLessThan(4);
  });

  it('CVE-2014-2855: an unknown user, an empty name and a long one are answered at once', async () => {
    for (const user of ['mallory', '', 'x'.repeat(500)]) {
      const peer = await stage.connect();
      peer.send('@RSYNCD: 31.0 sha512\nlocked\n');
      await peer.untilText('AUTHREQD');
      peer.send(`${user} abc\n`);
      const { answer } = await stage.finish(peer);
      expect(answer.text).toMatch(/@ERROR: auth failed on module locked\n$/);
    }
    const peer = await stage.connect();
    peer.send('@RSYNCD: 31.0 sha512\nlocked\n');
    await peer.untilText('AUTHREQD');
    for (let sent = 0; sent < 10 && (await peer.push(Buffer.alloc(MIB, 'u'))); sent++);
    expect((await stage.finish(peer)).line.outcome).toBe('protocol');
  });

  it('CVE-2014-2855: a secrets file without a last line feed still lets its user in', async () => {
    const args = [`rsync://alice@127.0.0.1:${stage.port}/locked/file`, 'got'];
    const result = await stage.rsync(args, { env: { RSYNC_PASSWORD: 'secret' } });
    expect(result.exitCode).toBe(0);
  });

  it('CVE-2018-5764: the second argument list cannot change the role or bring refused options', async () => {
    for (const option of ['--daemon', '-s', '--server', '--remove-source-files', '--config=/etc/shadow']) {
      const lists = [argumentList(['--server', '--sender', '-s']), argumentList(['rsync', option, '.', 'pub/'])];
      const { line, answer } = await outcomeOf(Buffer.concat([enter('pub'), ...lists]));
      expect(line.outcome).toBe('usage');
      expect(answer.data).toHaveLength(0);
    }
  });

  it('3.2.0 note: argument lists with nothing in them are refused', async () => {
    for (const bytes of ['\0', '.\0\0', '--server\0\0', '--sender\0\0', '--server\0--sender\0\0', '\0\0\0\0']) {
      const { line, answer } = await outcomeOf(Buffer.concat([enter('pub'), Buffer.from(bytes)]));
      expect(line).toMatchObject({ outcome: 'usage', exit: 1 });
      expect(answer.messages).toMatch(/^ERROR: /);
    }
  });

  it('CVE-2026-53794: --max-alloc changes none of our limits', async () => {
    for (const size of ['0', '1T', '-1', '8192P']) {
      const send = Buffer.concat([
        upToList([`--max-alloc=${size}`]),
        data(31, request(sumHead(2 ** 31 - 1, 700, 16, 0))),
      ]);
      expect((await outcomeOf(send)).line.outcome).toMatch(/^(limit:blockSumsRefused|usage)$/);
    }
  });

  it('CVE-2026-70455: clients cannot make threads', async () => {
    const before = threads();
    for (const count of [1, 8, 256, -1]) {
      const send = Buffer.concat([upToList([`--compress-threads=${count}`, `--zt=${count}`]), data(31, allDone())]);
      expect((await outcomeOf(send)).line.outcome).toBe('ok');
    }
    expect(threads()).toBe(before);
  });

  it('CVE-2026-70456: 999 and 1000 arguments are served, 1001 are refused, also with a wildcard among them', async () => {
    for (const [count, outcome] of [
      [999, 'ok'],
      [1000, 'ok'],
      [1001, 'limit:args'],
    ] as const) {
      for (const path of ['pub/file', 'pub/*']) {
        const options = Array<string>(count - 5).fill('-v');
        const send = Buffer.concat([
          enter('pub'),
          pullArguments(options, 31, [path]),
          data(31, NO_MORE_FILTERS, allDone()),
        ]);
        expect((await outcomeOf(send)).line.outcome).toBe(outcome);
      }
    }
  });

  it('CVE-2026-70457: sizes of 5000 digits and endless options are answered with a short text', async () => {
    const digits = '9'.repeat(5000);
    const lengthy = [
      `--max-size=${digits}`,
      `--min-size=${digits}`,
      `--bwlimit=${digits}`,
      `--block-size=${digits}`,
      `--info=X${digits}`,
      `-${'v'.repeat(60)}`,
      `--skip-compress=${'a'.repeat(5000)}`,
      `--${digits}`,
    ];
    for (const option of lengthy) {
      const { answer, line } = await outcomeOf(Buffer.concat([upToList([option]), data(31, allDone())]));
      expect(['ok', 'usage']).toContain(line.outcome);
      expect(answer.messages.length).toBeLessThan(400);
    }
  });

  it('CVE-2026-70464: connections that stall in the handshake hold no place of a module', async () => {
    const stalled: Peer[] = [];
    for (let count = 0; count < 20; count++) {
      const peer = await stage.connect();
      peer.send(enter('single'));
      await peer.untilText('@RSYNCD: OK\n');
      stalled.push(peer);
    }
    expect((await stage.rsync(['URL/single/file', 'got'])).exitCode).toBe(0);
    for (const peer of stalled) peer.close();
    for (const peer of stalled) expect((await stage.sessionEnd(peer)).outcome).toBe('peer-gone');
  });

  it('CVE-2026-70464: a client that stays after its error holds no place of a module', async () => {
    const refused = await stage.connect('127.0.0.1', false);
    refused.send(enter('single'), pullArguments([], 31, ['single/']), data(31, Buffer.alloc(4, 0xff)));
    await refused.ended();
    expect((await stage.rsync(['URL/single/file', 'got'])).exitCode).toBe(0);
    refused.close();
    expect((await stage.sessionEnd(refused)).outcome).toBe('limit:filterRecordBytes');
  });

  it('CVE-2026-70464: a client that finds the last place taken behind OK is told so and exits with 5', async () => {
    const [early, late] = [await stage.connect(), await stage.connect()];
    for (const peer of [early, late]) {
      peer.send(enter('single'));
      await peer.untilText('@RSYNCD: OK\n');
    }
    early.send(pullArguments([], 31, ['single/']));
    await early.until((received) => received.length > received.indexOf('OK\n') + 3);
    late.send(pullArguments([], 31, ['single/']));
    const { answer, line } = await stage.finish(late);
    expect(answer).toMatchObject({ messages: '@ERROR: max connections (1) reached -- try again later\n', exit: 5 });
    expect(line.outcome).toBe('access:max-connections');
    early.close();
    await stage.sessionEnd(early);
  });

  it('Auth digest downgrade: a client that offers weak digests only gets no challenge', async () => {
    for (const digests of ['md4', 'md5 md4', 'sha1']) {
      const peer = await stage.connect();
      peer.send(`@RSYNCD: 31.0 ${digests}\nfloor\n`);
      const { answer, line } = await stage.finish(peer);
      expect(answer.text).toMatch(/\n@ERROR: auth failed on module floor\n$/);
      expect(answer.text).not.toContain('AUTHREQD');
      expect(line.outcome).toBe('access:auth');
    }
  });

  it('Auth digest downgrade: no challenge comes twice', async () => {
    const challenges = new Set<string>();
    for (let count = 0; count < 200; count++) {
      const peer = await stage.connect();
      peer.send('@RSYNCD: 31.0 sha512\nlocked\n');
      await peer.untilText('AUTHREQD');
      await peer.until((received) => received.at(-1) === 0x0a);
      challenges.add(/AUTHREQD (\S{22,})\n/.exec(peer.text)![1]!);
      peer.close();
      await stage.sessionEnd(peer);
    }
    expect(challenges.size).toBe(200);
  });

  it('CVE-2026-53800: no spelling of --remove-source-files is accepted, and nothing is removed', async () => {
    for (const option of ['--remove-source-files', '--remove-sent-files', '--remove-source', '--remove-sent']) {
      const { line, answer } = await outcomeOf(upToList([option]));
      expect(line.outcome).toBe('usage');
      expect(answer.data).toHaveLength(0);
    }
    expect(existsSync(join(stage.dir, 'pub/file'))).toBe(true);
  });

  it('CVE-2026-53791: a PROXY header of an ordinary client is refused and changes no address', async () => {
    const v2 = Buffer.from('0d0a0d0a000d0a515549540a21110000c', 'hex');
    for (const header of [Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 1 873\r\n'), v2]) {
      const { line } = await outcomeOf(Buffer.concat([header, enter('pub')]));
      expect(line).toMatchObject({ peer: '127.0.0.1' });
      expect(['access:greeting', 'protocol']).toContain(line.outcome);
    }
  });

  it('A.2: everything that would make us receive or write is refused before the file list', async () => {
    const uploads = [
      '--delete',
      '--partial-dir=x',
      '--temp-dir=/tmp',
      '--backup-dir=/tmp',
      '--write-devices',
      '--copy-as=root',
      '--log-file=/tmp/log',
    ];
    for (const option of uploads) {
      const args = argumentList(['--server', '-re.LsfxC', option, '.', 'pub/']);
      const { answer, line } = await outcomeOf(Buffer.concat([enter('pub'), args]));
      expect(line).toMatchObject({ outcome: 'usage', exit: 1, detail: 'ERROR: module is read only' });
      expect(answer.data).toHaveLength(0);
    }
  });

  it('writes one line about each of the sessions above, and no other', () => stage.expectOneLinePerSession());
});
