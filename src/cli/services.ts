/** What each kind of listener does with a connection; listeners.ts asks for one service per listener. */

import { Bug, RsyncError } from '../errors.ts';
import { limitHits } from '../limit-hits.ts';
import type { Limits } from '../limits.ts';
import { type AdmissionRefusal, refuseConnection } from '../listener/admission.ts';
import type { SocketTransport } from '../listener/socket-transport.ts';
import type { TlsConnection } from '../listener/tls.ts';
import { createSessionLogger } from '../observe/session-log.ts';
import { OUR_GREETING } from '../session/greeting.ts';
import { type Daemon, runSession } from '../session/session.ts';
import type { KeysOf } from './listener-keys.ts';
import type { Connection, Service } from './running-sessions.ts';
import type { SharedBounds } from './shared-state.ts';

/** Makes services; holds what all connections of a worker share. One per worker. */
export class Services {
  #shared: SharedBounds;
  #limits: Limits;

  constructor(limits: Limits, shared: SharedBounds) {
    this.#limits = limits;
    this.#shared = shared;
  }

  /** Limits for connections to come. */
  use(limits: Limits, shared: SharedBounds): void {
    this.#limits = limits;
    this.#shared = shared;
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
    // Whoever has no such listener does without SSH.
    const loading = import('./ssh-service.ts');
    return {
      serve: async (transport, daemon, ticket) => {
        const { serveSshClient } = await loading;
        const { sshKex: kexGate, sshPenalties: penalties } = this.#shared;
        return serveSshClient({ transport, keys: keys(), shared: { kexGate, penalties } }, daemon, ticket);
      },
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
      await this.#shared.tlsHandshakes.enter();
      return await connection.startTls(keys().identity, limits.tlsHandshakeMs);
    } catch (thrown) {
      const error = thrown instanceof RsyncError ? thrown : new Bug('unexpected exception', { cause: thrown });
      if (error.limit !== undefined) limitHits.count(error.limit);
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
