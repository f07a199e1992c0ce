/** What each kind of listener does with a connection; listeners.ts asks for one service per listener. */

import { Bug, RsyncError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { type AdmissionRefusal, refuseConnection } from '../listener/admission.ts';
import type { SocketTransport } from '../listener/socket-transport.ts';
import { KexGate } from '../listener/ssh/kex-gate.ts';
import { Penalties } from '../listener/ssh/penalties.ts';
import type { TlsConnection } from '../listener/tls.ts';
import { createSessionLogger } from '../observe/session-log.ts';
import { OUR_GREETING } from '../session/greeting.ts';
import { type Daemon, runSession } from '../session/session.ts';
import type { KeysOf } from './listener-keys.ts';
import type { Connection, Service } from './running-sessions.ts';
import { type SshShared, serveSshClient } from './ssh-service.ts';

/** Makes services; holds what all connections of the process share. One per process. */
export class Services {
  readonly #limits: Limits;
  readonly #ssh: SshShared;
  readonly #tlsGate: KexGate;

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#ssh = { kexGate: new KexGate(limits), penalties: new Penalties(limits) };
    // Each connection that waits is in a handshake: admission has counted it.
    const { tlsHandshakesPerSecond, handshakes } = limits;
    this.#tlsGate = new KexGate({ sshKexPerSecond: tlsHandshakesPerSecond, sshKexWaiting: handshakes });
  }

  /** The daemon protocol on a plain connection. */
  plain(): Service<SocketTransport> {
    return {
      serve: runSession,
      refuse: (transport, refusal) => refuseConnection(transport, refusal, this.#limits, OUR_GREETING),
    };
  }

  /** @param keys asked for each connection. */
  ssh(keys: () => KeysOf<'anon_ssh'> | KeysOf<'authorized_ssh'>): Service<SocketTransport> {
    return {
      serve: (transport, daemon, ticket) =>
        serveSshClient({ transport, keys: keys(), shared: this.#ssh }, daemon, ticket),
      refuse: closeAtOnce,
    };
  }

  /** @param keys asked for each connection. */
  tls(keys: () => KeysOf<'tls'>): Service<TlsConnection> {
    return {
      serve: async (connection, daemon, ticket) => {
        const transport = await this.#startTls(connection, keys, daemon);
        if (transport === null) return;
        await runSession(transport, { ...daemon, logger: daemon.logger.child({ listener: 'tls' }) }, ticket);
      },
      refuse: closeAtOnce,
    };
  }

  /** Null when nothing came of it, which the log says. */
  async #startTls(
    connection: TlsConnection,
    keys: () => KeysOf<'tls'>,
    { logger, logBudget, limits }: Daemon,
  ): Promise<SocketTransport | null> {
    try {
      // SECURITY: the server signs in each handshake, which costs a client nothing to ask for.
      await this.#tlsGate.enter();
      return await connection.startTls(keys().identity, limits.tlsHandshakeMs);
    } catch (thrown) {
      const error = thrown instanceof RsyncError ? thrown : new Bug('unexpected exception', { cause: thrown });
      const { address: peer, port } = connection.peer;
      const line = createSessionLogger(logger, logBudget, limits, { listener: 'tls', peer, port });
      if (error instanceof Bug) line.error({ err: thrown }, 'internal error');
      else line.info({ outcome: error.code, detail: error.message }, 'no TLS session');
      connection.destroy();
      return null;
    }
  }
}

/** To say why would take the handshake that the cap is there to save. */
function closeAtOnce(connection: Connection, refusal: AdmissionRefusal): void {
  connection.destroy();
  refusal.release();
}
