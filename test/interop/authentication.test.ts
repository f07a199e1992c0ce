/** Logins: every digest by a scripted client, a real client with its password file, and every way to fail. */

import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { md4 } from '../../src/checksum/md4.ts';
import type { RunResult } from '../helpers/run.ts';
import { openStage, type Stage } from '../session/support/stage.ts';
import { hasRoot } from '../setup/clients.ts';

const PASSWORD = 's3cret word';

const hashOf =
  (name: string) =>
  (bytes: Buffer): Buffer =>
    createHash(name).update(bytes).digest();

/** Greeting, and how its client answers a challenge (1-session.md 2.6). */
const DIALECTS: readonly (readonly [
  title: string,
  greeting: string,
  prefix: number,
  hash: (bytes: Buffer) => Uint8Array,
])[] = [
  ['sha512', '@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4', 0, hashOf('sha512')],
  ['sha256', '@RSYNCD: 32.0 sha256 md5', 0, hashOf('sha256')],
  ['SHA1 in upper case', '@RSYNCD: 31.0 SHA1', 0, hashOf('sha1')],
  ['md5 from a list', '@RSYNCD: 31.0 md5 sha512', 0, hashOf('md5')],
  ['md5 without a list', '@RSYNCD: 31.0', 0, hashOf('md5')],
  ['md5 without a list at protocol 30', '@RSYNCD: 30.0', 0, hashOf('md5')],
  ['md4 from a list', '@RSYNCD: 29 md4', 0, md4],
  ['md4 behind an unknown name', '@RSYNCD: 32.0 blake3 md4 sha512', 0, md4],
  ['the old md4 with four zero bytes', '@RSYNCD: 29', 4, md4],
  ['the old md4 at protocol 27', '@RSYNCD: 27', 4, md4],
];

describe.skipIf(!hasRoot())('a login', { timeout: 20_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({
      prepare: (dir) => {
        writeFileSync(join(dir, 'secrets'), `alice:${PASSWORD}\n# bob:nothing\nbob:other\n`, { mode: 0o640 });
        writeFileSync(join(dir, 'password'), `${PASSWORD}\n`, { mode: 0o600 });
      },
      modules: (dir) => {
        const base = { auth_users: ['alice', 'ghost'], secrets_file: join(dir, 'secrets') };
        const path = join(dir, 'pub');
        return [
          { name: 'any', path, keys: { ...base, auth_digest: 'md4' } },
          { name: 'default', path, keys: base },
          { name: 'strict', path, keys: { ...base, auth_digest: 'sha512' } },
        ];
      },
    });
  });
  afterAll(async () => {
    await stage.expectOneLinePerSession();
    await stage.close();
  });

  async function logIn(module: string, greeting: string, answer: (challenge: string) => string): Promise<string> {
    const peer = await stage.connect();
    peer.send(`${greeting}\n${module}\n`);
    await peer.until((received) => /\n@(RSYNCD: AUTHREQD .+|ERROR.*)\n/.test(received.toString('latin1')));
    const challenge = /AUTHREQD (\S+)\n/.exec(peer.text)?.[1];
    if (challenge !== undefined) {
      peer.send(`${answer(challenge)}\n`);
      await peer.until((received) => /\n@(RSYNCD: OK|ERROR.*)\n/.test(received.toString('latin1')));
    }
    peer.end();
    await stage.finish(peer);
    return peer.text.trim().split('\n').at(-1)!;
  }

  it.each(DIALECTS)('with %s succeeds', async (_title, greeting, prefix, hash) => {
    const answer = (challenge: string): string => {
      const digest = hash(Buffer.concat([Buffer.alloc(prefix), Buffer.from(PASSWORD + challenge)]));
      return `alice ${Buffer.from(digest).toString('base64').replace(/=+$/, '')}`;
    };
    expect(await logIn('any', greeting, answer)).toBe('@RSYNCD: OK');
    const padded = (challenge: string): string => `${answer(challenge)}=`;
    expect(await logIn('any', greeting, padded)).toBe('@ERROR: auth failed on module any');
  });

  it.each([
    ['default', '@RSYNCD: 31.0 sha1 sha256', 'auth failed on module default'],
    ['default', '@RSYNCD: 31.0', 'auth failed on module default'],
    ['default', '@RSYNCD: 29', 'auth failed on module default'],
    ['strict', '@RSYNCD: 32.0 sha256', 'auth failed on module strict'],
    [
      'any',
      '@RSYNCD: 32.0 blake3',
      'your client does not support one of our daemon-auth checksums: sha512 sha256 sha1 md5 md4',
    ],
  ])('to the module %s below its floor is not asked for: %s', async (module, greeting, text) => {
    expect(await logIn(module, greeting, () => '')).toBe(`@ERROR: ${text}`);
  });

  const pull = (
    user: string,
    module: string,
    password: string | null,
    options: readonly string[] = [],
  ): Promise<RunResult> =>
    stage.rsync([...options, `rsync://${user}@127.0.0.1:${stage.port}/${module}/file`, 'got'], {
      env: password === null ? {} : { RSYNC_PASSWORD: password },
    });

  it.each([27, 29, 30, 31, 32])('of a real client succeeds with protocol %i', async (protocol) => {
    const result = await pull('alice', 'any', PASSWORD, [`--protocol=${protocol}`]);
    expect({ exit: result.exitCode, text: result.stderr.toString() }).toEqual({ exit: 0, text: '' });
  });

  it('of a real client succeeds with a password file, and its user stands in the log', async () => {
    const { exitCode } = await pull('alice', 'strict', null, [`--password-file=${join(stage.dir, 'password')}`]);
    expect(exitCode).toBe(0);
    await stage.server.waitFor((line) => line.module === 'strict' && line.user === 'alice' && line.outcome === 'ok');
  });

  it.each([
    ['a wrong password', 'alice', 'wrong'],
    ['an empty password', 'alice', ''],
    ['a user that nobody knows', 'mallory', PASSWORD],
    ['a user of the secrets file that the module does not list', 'bob', 'other'],
    ['a user that the module lists and the secrets file does not', 'ghost', PASSWORD],
    ['a user in upper case', 'ALICE', PASSWORD],
  ])('of a real client with %s fails with exit code 5', async (_title, user, password) => {
    const result = await pull(user, 'default', password);
    expect(result.exitCode).toBe(5);
    expect(result.stderr.toString()).toMatch(/^@ERROR: auth failed on module default$/m);
  });

  it('never puts a password or an answer into the log', () => {
    expect(stage.server.lines.filter((line) => line.includes(PASSWORD) || line.includes('AUTHREQD'))).toEqual([]);
  });
});
