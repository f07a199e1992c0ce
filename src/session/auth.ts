/** Challenge and response of the text phase (1-session.md 2.6); connect.ts calls it for modules that want a login. */

import { randomBytes, timingSafeEqual } from 'node:crypto';
import { md5, sha1 } from '@noble/hashes/legacy.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import type { AccessError } from '../errors.ts';
import { compileGlob, hasWildcards, type StepLimits } from '../filter/wildmatch.ts';
import type { Limits } from '../limits.ts';
import { AUTH_DIGESTS, type AuthDigest, type ClientGreeting, readLine } from './greeting.ts';
import type { ByteSource, TextSink } from './line-source.ts';
import { authFailed, noCommonDigest, quoteLine } from './refusals.ts';

/** `md4-old` is what clients without a digest list use below protocol 30: four zero bytes go first. */
export type ResponseDigest = AuthDigest | 'md4-old';

/** A one-shot hash. */
export type HashFunction = (data: Uint8Array) => Uint8Array;

/** Who may log in to a module. */
export interface ModuleAuthentication {
  /** Names in order, the first that matches decides: shell wildcards, suffix `:deny` or `:ro`. */
  readonly users: readonly string[];
  /** Weakest digest accepted. */
  readonly digest: AuthDigest;
  /** The password's bytes, or null when there is none. */
  passwordOf(user: Buffer): Buffer | null;
}

/** What authentication needs besides the connection. */
export interface AuthContext {
  readonly moduleText: string;
  readonly authentication: ModuleAuthentication;
  readonly greeting: ClientGreeting;
  /** MD4 comes from checksum/, as @noble/hashes has none. */
  readonly md4: HashFunction;
  readonly limits: Pick<Limits, 'authLineBytes'> & StepLimits;
}

const CHALLENGE_BYTES = 16;
const SPACE = 0x20;
const HASH_SIGN = 0x23;
/** Place in the order of strength, strongest first. The old form of MD4 is no weaker than MD4 and has no name in a configuration. */
function rankOf(digest: ResponseDigest): number {
  return AUTH_DIGESTS.indexOf(digest === 'md4-old' ? 'md4' : digest);
}

/**
 * Asks for a login and checks it.
 * @returns the user's name, escaped for logs.
 * @throws AccessError with `auth failed` whatever was wrong, PeerGone, ProtocolError for a line that is no line.
 */
export async function authenticate(source: ByteSource, sink: TextSink, context: AuthContext): Promise<string> {
  const { authentication, greeting, limits } = context;
  const digest = chooseDigest(greeting.digests, greeting.protocol);
  const fail = (reason: string): AccessError => authFailed(context.moduleText, reason);
  // SECURITY: a weak digest makes a captured answer cheap to crack; nobody is asked for one (security.md A, downgrade).
  if (rankOf(digest) > rankOf(authentication.digest)) throw fail(`digest ${digest} is too weak`);
  const challenge = randomBytes(CHALLENGE_BYTES).toString('base64').replace(/=+$/, '');
  sink.writeText(Buffer.from(`@RSYNCD: AUTHREQD ${challenge}\n`));
  await sink.flush();
  const line = await readLine(source, limits, 'authLineBytes', 'authentication answer');
  const space = line.indexOf(SPACE);
  if (space < 0 || line[0] === HASH_SIGN) throw fail('malformed answer');
  const user = line.subarray(0, space);
  const allowed = isAllowedUser(user, authentication.users, limits);
  const password = allowed ? authentication.passwordOf(user) : null;
  // SECURITY: unknown users cost the same hashing as known ones, so that time does not tell them apart (CVE-2014-2855).
  const expected = authResponse(digest, password ?? randomBytes(CHALLENGE_BYTES), Buffer.from(challenge), context.md4);
  const matches = equalBytes(line.subarray(space + 1), Buffer.from(expected));
  if (!allowed) throw fail(`user ${quoteLine(user)} is not allowed`);
  if (password === null) throw fail(`user ${quoteLine(user)} has no password`);
  if (!matches) throw fail(`wrong answer for user ${quoteLine(user)}`);
  return quoteLine(user);
}

/**
 * The digest that the client will use: its own first name that is also in our greeting.
 * @param digests the client's list, lower case; null when it sent none.
 * @throws AccessError when the lists have nothing in common.
 */
export function chooseDigest(digests: readonly string[] | null, protocol: number): ResponseDigest {
  if (digests === null) return protocol >= 30 ? 'md5' : 'md4-old';
  for (const name of digests) {
    const known = AUTH_DIGESTS.find((digest) => digest === name);
    if (known !== undefined) return known;
  }
  throw noCommonDigest(AUTH_DIGESTS.join(' '));
}

/** Base64 without padding of the digest over password and challenge. */
export function authResponse(digest: ResponseDigest, password: Buffer, challenge: Buffer, md4: HashFunction): string {
  const seed = Buffer.alloc(digest === 'md4-old' ? 4 : 0);
  const hash = hashFunction(digest, md4);
  return Buffer.from(hash(Buffer.concat([seed, password, challenge])))
    .toString('base64')
    .replace(/=+$/, '');
}

function hashFunction(digest: ResponseDigest, md4: HashFunction): HashFunction {
  switch (digest) {
    case 'sha512':
      return sha512;
    case 'sha256':
      return sha256;
    case 'sha1':
      return sha1;
    case 'md5':
      return md5;
    case 'md4':
    case 'md4-old':
      return md4;
  }
}

/**
 * Whether the first entry that matches the name lets the user in. Entries for groups match nobody.
 * @throws LimitError when the operator's wildcards take too long over this name.
 */
export function isAllowedUser(user: Buffer, entries: readonly string[], limits: StepLimits): boolean {
  for (const entry of entries) {
    const suffix = /:(?:deny|ro|rw)$/.exec(entry);
    const pattern = Buffer.from(suffix === null ? entry : entry.slice(0, suffix.index));
    const isMatch = hasWildcards(pattern) ? compileGlob(pattern, limits).matches(user) : pattern.equals(user);
    if (isMatch) return suffix?.[0] !== ':deny';
  }
  return false;
}

/** Constant time for equal lengths; the length of the right answer is no secret. */
function equalBytes(given: Buffer, expected: Buffer): boolean {
  return given.length === expected.length && timingSafeEqual(given, expected);
}
