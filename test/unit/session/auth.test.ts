import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { md4 } from '../../../src/checksum/md4.ts';
import { AccessError, PeerGone, ProtocolError } from '../../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import {
  authenticate,
  authResponse,
  chooseDigest,
  isAllowedUser,
  type ModuleAuthentication,
  type ResponseDigest,
} from '../../../src/session/auth.ts';
import { parseGreeting } from '../../../src/session/greeting.ts';
import type { ByteSource } from '../../../src/session/line-source.ts';
import { byteScript, textSink } from '../../helpers/byte-script.ts';

interface Vector {
  digest: ResponseDigest;
  password: string;
  challenge: string;
  response: string;
}

const { vectors } = JSON.parse(readFileSync(new URL('../../vectors/auth.json', import.meta.url), 'utf8')) as {
  vectors: Vector[];
};

const SPEC_VECTORS: readonly (readonly [ResponseDigest, string])[] = [
  ['sha512', 'Z5p0oXPJbDH2hxA5oJ78pNLd0mwb1i9EljNQp03p32xgye9WnDRHkq2bdnkDcUO9cXqZDHKA+ql6BMXz5aslsA'],
  ['sha256', '/giO8muLxkU/tGWrOPGN4oN7byoMW7w+iw0Lj0bMiqw'],
  ['sha1', '0ELZEhWSCeAF8wevSwW+tuUEUG8'],
  ['md5', 'LEteNj7zmFOGnH2H9QDNow'],
  ['md4', 'BJ7WZwazMyXAfqPoYI+qhw'],
  ['md4-old', '/WxhxeDofz0tXPCgKxCdOw'],
];

const MODULE: ModuleAuthentication = {
  users: ['joe:deny', 'al*:ro', 'nobody'],
  digest: 'md4',
  passwordOf: (user) => (user.toString() === 'alice' ? Buffer.from('s3cret') : null),
};

interface Attempt {
  greeting?: string;
  /** The client's line, made from the challenge that it got. */
  answer: (challenge: string) => string;
  module?: ModuleAuthentication;
}

/** Plays a client; resolves with the user, or with the `@ERROR` line, and with what we sent. */
async function logIn({ greeting = '@RSYNCD: 32.0 sha256', answer, module = MODULE }: Attempt) {
  const sink = textSink();
  const challenge = () => /AUTHREQD (.*)\n/.exec(sink.text)?.[1] ?? '';
  const source: Pick<ByteSource, 'readUntil'> = {
    readUntil: (delimiter, max, field) => byteScript(answer(challenge())).readUntil(delimiter, max, field),
  };
  try {
    const user = await authenticate(source as ByteSource, sink, {
      moduleText: 'auth',
      authentication: module,
      greeting: parseGreeting(Buffer.from(greeting)),
      md4,
      limits: DEFAULT_LIMITS,
    });
    return { user, sent: sink.text, reason: '' };
  } catch (error) {
    if (!(error instanceof AccessError)) throw error;
    return { user: error.tell, sent: sink.text, reason: error.message };
  }
}

const respond = (user: string, password: string, digest: ResponseDigest) => (challenge: string) =>
  `${user} ${authResponse(digest, Buffer.from(password), Buffer.from(challenge), md4)}\n`;

const FAILED = '@ERROR: auth failed on module auth';

describe('responses', () => {
  it.each(vectors)('are those of real clients: $digest', ({ digest, password, challenge, response }) => {
    expect(authResponse(digest, Buffer.from(password), Buffer.from(challenge), md4)).toBe(response);
  });

  it.each(SPEC_VECTORS)('are those of the specification: %s', (digest, response) => {
    expect(authResponse(digest, Buffer.from('s3cret'), Buffer.from('Zm9v'), md4)).toBe(response);
  });
});

describe('the digest', () => {
  it.each([
    [['sha512', 'md5'], 32, 'sha512'],
    [['md5', 'sha512'], 32, 'md5'],
    [['blake3', 'sha1'], 31, 'sha1'],
    [['md4'], 29, 'md4'],
    [null, 31, 'md5'],
    [null, 30, 'md5'],
    [null, 29, 'md4-old'],
    [null, 27, 'md4-old'],
  ])('for the client list %j at protocol %i is %s', (digests, protocol, digest) => {
    expect(chooseDigest(digests, protocol)).toBe(digest);
  });

  it.each([[['blake3']], [[]]])('does not exist for the client list %j', async (digests) => {
    const ours = 'sha512 sha256 sha1 md5 md4';
    const line = `@ERROR: your client does not support one of our daemon-auth checksums: ${ours}`;
    expect(() => chooseDigest(digests, 32)).toThrow(expect.objectContaining({ tell: line }));
  });
});

describe('a login', () => {
  it.each([
    ['@RSYNCD: 32.0 sha512 md5', 'sha512'],
    ['@RSYNCD: 31.0 sha256', 'sha256'],
    ['@RSYNCD: 31.0', 'md5'],
    ['@RSYNCD: 29 md4', 'md4'],
  ] as const)('with the right password succeeds for %s', async (greeting, digest) => {
    expect(await logIn({ greeting, answer: respond('alice', 's3cret', digest) })).toMatchObject({ user: 'alice' });
  });

  it('with the oldest digest succeeds where the floor allows it', async () => {
    const module = { ...MODULE, digest: 'md4' } as const;
    const result = await logIn({ greeting: '@RSYNCD: 29', module, answer: respond('alice', 's3cret', 'md4-old') });
    expect(result).toMatchObject({ user: 'alice' });
  });

  it.each([
    ['wrong password', respond('alice', 'wrong', 'sha256'), 'wrong answer for user alice'],
    ['denied user', respond('joe', 's3cret', 'sha256'), 'user joe is not allowed'],
    ['user that no entry names', respond('bob', 's3cret', 'sha256'), 'user bob is not allowed'],
    ['user without a password', respond('nobody', '', 'sha256'), 'user nobody has no password'],
    ['missing space', () => 'alice\n', 'malformed answer'],
    ['empty line', () => '\n', 'malformed answer'],
    ['comment sign', respond('#alice', 's3cret', 'sha256'), 'malformed answer'],
    ['empty user', respond('', 's3cret', 'sha256'), 'user  is not allowed'],
    [
      'truncated answer',
      (challenge: string) => `${respond('alice', 's3cret', 'sha256')(challenge).slice(0, -2)}\n`,
      'wrong answer',
    ],
    ['control bytes', () => 'a\x1b b\n', 'user a\\#033 is not allowed'],
  ])('fails alike for a %s, and the log says why', async (_what, answer, reason) => {
    const result = await logIn({ answer });
    expect(result.user).toBe(FAILED);
    expect(result.reason).toContain(reason);
  });

  it('is not even asked for with a digest below the floor', async () => {
    const module = { ...MODULE, digest: 'sha256' } as const;
    const result = await logIn({ greeting: '@RSYNCD: 31.0', module, answer: respond('alice', 's3cret', 'md5') });
    expect(result).toMatchObject({ user: FAILED, sent: '' });
  });

  it('succeeds with a digest at the floor', async () => {
    const module = { ...MODULE, digest: 'sha256' } as const;
    expect(await logIn({ module, answer: respond('alice', 's3cret', 'sha256') })).toMatchObject({ user: 'alice' });
  });

  it('gets a new challenge of 128 random bits each time', async () => {
    const challenges = await Promise.all(Array.from({ length: 50 }, () => logIn({ answer: () => 'x y\n' })));
    const texts = new Set(challenges.map(({ sent }) => sent));
    expect(texts.size).toBe(50);
    expect([...texts][0]).toMatch(/^@RSYNCD: AUTHREQD [A-Za-z0-9+/]{22}\n$/);
  });

  it('refuses an endless answer', async () => {
    await expect(logIn({ answer: () => 'a'.repeat(600) })).rejects.toThrow(ProtocolError);
  });

  it('ends with the connection', async () => {
    await expect(logIn({ answer: () => '' })).rejects.toThrow(PeerGone);
  });
});

describe('auth_users', () => {
  const allows = (user: string, entries: string[]) => isAllowedUser(Buffer.from(user), entries, DEFAULT_LIMITS);

  it.each([
    ['alice', ['alice'], true],
    ['alice', ['alice:ro'], true],
    ['alice', ['alice:rw'], true],
    ['alice', ['alice:deny', 'alice'], false],
    ['alice', ['bob', '*'], true],
    ['alice', ['a?ice'], true],
    ['alice', ['[ab]lice:deny', '*'], false],
    ['alice', ['Alice'], false],
    ['alice', ['@alice'], false],
    ['alice', [], false],
    ['Some One', ['Some One'], true],
    ['a:deny', ['a:deny'], false],
  ])('for %s and %j: %s', (user, entries, expected) => {
    expect(allows(user, entries)).toBe(expected);
  });
});
