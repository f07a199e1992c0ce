/** User authentication (RFC 4252): `none` on the anonymous listener, `publickey` on the authorized one; server.ts calls it. */

import { AccessError, ProtocolError } from '../../errors.ts';
import type { Limits } from '../../limits.ts';
import type { AuthorizedKey, AuthorizedKeys } from './authorized-keys.ts';
import { encodeBoolean, encodeMessage, encodeNameList, encodeString, PayloadReader } from './codec.ts';
import { MSG } from './constants.ts';
import type { SshConnection } from './transport.ts';

/** Who may log in: everybody without a key, or the holders of keys. */
export type Authentication = 'anonymous' | AuthorizedKeys;

/** Who has logged in. */
export interface Identity {
  /** The name that the client gave; nothing but text for logs. */
  readonly user: Buffer;
  /** Names of the modules that it may see; null is all. */
  readonly modules: readonly string[] | null;
  /** The key's fingerprint; null on the anonymous listener. */
  readonly fingerprint: string | null;
}

/** User names are accepted whatever they are; longer ones are nobody's. */
const MAX_USER_BYTES = 255;

const SERVICE = 'ssh-connection';

interface AuthRequest {
  readonly user: Buffer;
  readonly method: string;
  /** What the method wants, unread. */
  readonly fields: PayloadReader;
}

/**
 * Waits until the client has logged in.
 * @param address of the client, for from= lists.
 * @throws AccessError after too many failures.
 */
export async function authenticate(
  connection: SshConnection,
  authentication: Authentication,
  address: string,
  limits: Pick<Limits, 'sshAuthTries' | 'outputBytes'>,
): Promise<Identity> {
  await acceptService(connection);
  let failures = 0;
  for (let isFirst = true; ; isFirst = false) {
    const payload = await connection.receive();
    if (payload[0] !== MSG.USERAUTH_REQUEST) throw new ProtocolError('SSH: message before the login');
    const request = parseRequest(payload);
    const answer = judge(connection, authentication, address, request);
    connection.send(answer.reply);
    if (answer.identity !== undefined) return answer.identity;
    // Every client asks once with `none`, to hear what there is.
    if (request.method !== 'none' || !isFirst) failures++;
    if (failures >= limits.sshAuthTries) {
      const details = { code: 'ssh-auth', limit: 'sshAuthTries' as const };
      throw new AccessError('SSH: too many failed logins', 'Too many authentication failures', details);
    }
    await connection.drained(limits.outputBytes);
  }
}

async function acceptService(connection: SshConnection): Promise<void> {
  const payload = await connection.receive();
  const reader = new PayloadReader(payload);
  if (reader.byte('message number') !== MSG.SERVICE_REQUEST) throw new ProtocolError('SSH: message before the login');
  if (reader.name('service') !== 'ssh-userauth') throw new ProtocolError('SSH: unknown service');
  reader.end('service request');
  connection.send(encodeMessage(MSG.SERVICE_ACCEPT, encodeString('ssh-userauth')));
}

function parseRequest(payload: Buffer): AuthRequest {
  const fields = new PayloadReader(payload);
  fields.byte('message number');
  const user = fields.string('user name', MAX_USER_BYTES);
  if (fields.name('service') !== SERVICE) throw new ProtocolError('SSH: unknown service');
  return { user, method: fields.name('method'), fields };
}

interface Answer {
  readonly reply: Buffer;
  readonly identity?: Identity;
}

const SUCCESS = encodeMessage(MSG.USERAUTH_SUCCESS);

function failure(methods: readonly string[]): Answer {
  return { reply: encodeMessage(MSG.USERAUTH_FAILURE, encodeNameList(methods), encodeBoolean(false)) };
}

function judge(
  connection: SshConnection,
  authentication: Authentication,
  address: string,
  request: AuthRequest,
): Answer {
  if (authentication === 'anonymous') {
    if (request.method !== 'none') return failure([]);
    request.fields.end('login request');
    return { reply: SUCCESS, identity: { user: request.user, modules: null, fingerprint: null } };
  }
  if (request.method !== 'publickey') return failure(['publickey']);
  return judgeKey(connection, authentication, address, request) ?? failure(['publickey']);
}

/** Answers a request with a key: announced without signature first, then signed; null is a failure. */
function judgeKey(
  connection: SshConnection,
  keys: AuthorizedKeys,
  address: string,
  { user, fields }: AuthRequest,
): Answer | null {
  const isSigned = fields.boolean('signature flag');
  const algorithm = fields.name('signature algorithm');
  const blob = fields.string('public key');
  const entry = keys.find(blob, address);
  if (entry === null || !(entry.key.algorithms as readonly string[]).includes(algorithm)) return null;
  const named = [encodeString(algorithm), encodeString(blob)];
  if (!isSigned) {
    fields.end('login request');
    return { reply: encodeMessage(MSG.USERAUTH_PK_OK, ...named) };
  }
  const signature = fields.string('signature');
  fields.end('login request');
  // SECURITY: the signature covers the session and all of the request, so it is good here and now only (RFC 4252 7).
  const data = Buffer.concat([
    encodeString(connection.sessionId),
    encodeMessage(MSG.USERAUTH_REQUEST, encodeString(user), encodeString(SERVICE), encodeString('publickey')),
    encodeBoolean(true),
    ...named,
  ]);
  return entry.key.verifies(data, algorithm, signature) ? { reply: SUCCESS, identity: identityOf(user, entry) } : null;
}

function identityOf(user: Buffer, entry: AuthorizedKey): Identity {
  return { user: Buffer.from(user), modules: entry.rights.modules, fingerprint: entry.fingerprint };
}
