/** One SSH connection from accept to close; the daemon calls it for each connection of an anonymous or authorized SSH listener. */

import { AccessError, Bug, LimitError, PeerGone, RsyncError, TimeoutError } from '../../errors.ts';
import type { Limits } from '../../limits.ts';
import type { Transport } from '../../wire/transport.ts';
import { type Authentication, authenticate, type Identity } from './auth.ts';
import { serveChannel } from './channel.ts';
import { DISCONNECT } from './constants.ts';
import type { HostKey } from './ed25519-key.ts';
import type { KexGate } from './kex-gate.ts';
import type { KexFacts } from './key-exchange.ts';
import type { Offence, Penalties } from './penalties.ts';
import { SshConnection } from './transport.ts';

export interface SshOptions {
  readonly hostKey: HostKey;
  /** 'anonymous', or the keys of this moment: read the current list for each connection and a reload needs nothing else. */
  readonly authentication: Authentication;
  readonly limits: Readonly<Limits>;
  /** One for the process. */
  readonly kexGate: KexGate;
  /** One for the process. */
  readonly penalties: Penalties;
  /**
   * Runs the rsync session; it must not reject.
   * @returns the exit status for the client, 0 to 255.
   */
  readonly onExec: (transport: Transport, who: Identity) => Promise<number>;
  /** Somebody has logged in. */
  readonly onLogin?: (who: Identity, facts: KexFacts, clientVersion: string) => void;
  /** The client asked for something that is refused. `what` holds its bytes as Latin-1: escape it. At most 100 a minute. */
  readonly onRefused?: (what: string) => void;
}

/** How a connection ended. */
export interface SshOutcome {
  /** Null after an orderly close of the channel. */
  readonly error: RsyncError | null;
  /** Null when nobody logged in. */
  readonly who: Identity | null;
}

/** Serves one connection and closes it. Never rejects. */
export async function serveSsh(inner: Transport, options: SshOptions): Promise<SshOutcome> {
  const { penalties } = options;
  const { address } = inner.peer;
  if (penalties.refuses(address)) {
    inner.destroy();
    return { error: new LimitError('sshPenaltyMs', 'address waits for the end of a penalty'), who: null };
  }
  const connection = new SshConnection(inner, options);
  let who: Identity | null = null;
  let error: RsyncError | null = null;
  try {
    who = await logIn(connection, options, address);
    await serveUser(connection, options, inner, who);
  } catch (thrown) {
    error = thrown instanceof RsyncError ? thrown : new Bug('unexpected exception', { cause: thrown });
    if (!(error instanceof PeerGone)) connection.disconnect(reasonOf(error), textOf(error));
  }
  const offence = offenceOf(error, who);
  if (offence !== null) penalties.add(address, offence);
  await connection.close(error === null ? 'peer-first' : 'us-first');
  return { error, who };
}

async function logIn(connection: SshConnection, options: SshOptions, address: string): Promise<Identity> {
  const { authentication, limits, onLogin } = options;
  connection.setDeadline('sshLoginMs', 'the SSH key exchange');
  // With our key in hand the client may ask a person whether it is the right one, and then for a passphrase.
  await connection.handshake(() => connection.setDeadline('authMs', 'the SSH login'));
  const who = await authenticate(connection, authentication, address, limits);
  connection.setDeadline('sshLoginMs', 'the SSH command');
  onLogin?.(who, connection.facts!, connection.clientVersion);
  return who;
}

async function serveUser(
  connection: SshConnection,
  options: SshOptions,
  inner: Transport,
  who: Identity,
): Promise<void> {
  const { limits, onExec, onRefused = () => {} } = options;
  await serveChannel(connection, {
    peer: inner.peer,
    limits,
    onRefused,
    onExec: (transport) => onExec(transport, who),
  });
}

const REASONS: Readonly<Record<string, number>> = {
  'ssh-kex': DISCONNECT.KEY_EXCHANGE_FAILED,
  'ssh-mac': DISCONNECT.MAC_ERROR,
  'ssh-auth': DISCONNECT.NO_MORE_AUTH_METHODS,
  'limit:sshKexWaiting': DISCONNECT.TOO_MANY_CONNECTIONS,
  timeout: DISCONNECT.BY_APPLICATION,
};

function reasonOf(error: RsyncError): number {
  return REASONS[error.code] ?? DISCONNECT.PROTOCOL_ERROR;
}

function textOf(error: RsyncError): string {
  return (error.tell ?? 'internal error').trimEnd();
}

/** What the address pays for; a client that only leaves, or that was let in, pays nothing. */
function offenceOf(error: RsyncError | null, who: Identity | null): Offence | null {
  if (error === null || who !== null || error instanceof Bug || error instanceof PeerGone) return null;
  if (error instanceof AccessError) return 'refused';
  if (error instanceof TimeoutError) return 'stalled';
  return error.code === 'limit:sshKexWaiting' ? null : 'misbehaved';
}
