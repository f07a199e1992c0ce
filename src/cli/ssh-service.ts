/** SSH connections: who logs in, what they may see, what the log says of them; services.ts hands them here. */

import { Bug, PeerGone } from '../errors.ts';
import { limitHits } from '../limit-hits.ts';
import type { Identity } from '../listener/ssh/auth.ts';
import type { KexGate } from '../listener/ssh/kex-gate.ts';
import type { Penalties } from '../listener/ssh/penalties.ts';
import { type SshOutcome, serveSsh } from '../listener/ssh/server.ts';
import { escapeControls } from '../observe/escape.ts';
import type { LogFields } from '../observe/log.ts';
import { createSessionLogger, type SessionLogger } from '../observe/session-log.ts';
import type { AdmissionTicket } from '../session/admission-ticket.ts';
import { type Daemon, runSession } from '../session/session.ts';
import type { Transport } from '../wire/transport.ts';
import type { KeysOf } from './listener-keys.ts';

/** A command or a version as the log shows it; clients may send 35 000 bytes. */
const MAX_SHOWN = 200;

/** What all SSH connections of the process share. */
export interface SshShared {
  readonly kexGate: KexGate;
  readonly penalties: Penalties;
}

type SshKeys = KeysOf<'anon_ssh'> | KeysOf<'authorized_ssh'>;

/** One connection and what it needs. */
export interface SshClient {
  readonly transport: Transport;
  /** As they are now: a later reload leaves this connection alone. */
  readonly keys: SshKeys;
  readonly shared: SshShared;
}

/** Serves an admitted connection and closes it. Never rejects. */
export async function serveSshClient(client: SshClient, daemon: Daemon, ticket: AdmissionTicket): Promise<void> {
  const { transport, keys, shared } = client;
  const { address: peer, port } = transport.peer;
  const fields = { listener: keys.kind, peer, port };
  const lines = createSessionLogger(daemon.logger, daemon.logBudget, daemon.limits, fields);
  let hasRun = false;
  const outcome = await serveSsh(transport, {
    ...shared,
    limits: daemon.limits,
    hostKey: keys.hostKey,
    authentication: keys.kind === 'anon_ssh' ? 'anonymous' : keys.authorizedKeys,
    onExec: async (channel, who) => {
      hasRun = true;
      await runSession(channel, daemonFor(daemon, keys, who), ticket);
      return 0;
    },
    onLogin: (who, { kex, cipherOut }, clientVersion) => {
      lines.info({ ...identityFields(who), client: shown(clientVersion), kex, cipher: cipherOut }, 'SSH login');
    },
    onRefused: (what) => lines.info({ request: shown(what) }, 'SSH request refused'),
  });
  logEnd(lines, outcome, hasRun);
}

/** The daemon as the holder of a key sees it. SECURITY: a module that the key does not name does not exist for it. */
function daemonFor(daemon: Daemon, { kind }: SshKeys, who: Identity): Daemon {
  const { modules } = who;
  return {
    ...daemon,
    modules: modules === null ? daemon.modules : daemon.modules.filter(({ name }) => modules.includes(name)),
    logger: daemon.logger.child({ listener: kind, ...identityFields(who) }),
  };
}

function identityFields({ user, fingerprint }: Identity): LogFields {
  const sshUser = shown(user.toString('latin1'));
  return fingerprint === null ? { sshUser } : { sshUser, sshKey: fingerprint };
}

/** A session writes its own last line; connections without one, and what goes wrong around one, get theirs here. */
function logEnd(lines: SessionLogger, { error, who }: SshOutcome, hasRun: boolean): void {
  if (error?.limit !== undefined) limitHits.count(error.limit);
  if (error instanceof Bug) lines.error({ err: error }, 'internal error');
  else if (hasRun && (error === null || error instanceof PeerGone)) return;
  const identity = who === null ? {} : identityFields(who);
  const detail = error === null ? {} : { detail: shown(error.message) };
  lines.info({ ...identity, outcome: error?.code ?? 'ok', ...detail }, 'SSH connection ended');
}

function shown(text: string): string {
  return escapeControls(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text);
}
