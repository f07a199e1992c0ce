/** The sessions of one worker: admitted, counted, ended; every listener hands its connections to the one of serving.ts. */

import type { RsyncError } from '../errors.ts';
import { limitHits } from '../limit-hits.ts';
import { type Admission, AdmissionRefusal } from '../listener/admission.ts';
import type { FairAccept } from '../listener/fair-accept.ts';
import { createSessionLogger } from '../observe/session-log.ts';
import type { AdmissionTicket } from '../session/admission-ticket.ts';
import type { Daemon } from '../session/session.ts';
import { connectionClosed, connectionTurn } from '../slice.ts';
import type { PeerAddress } from '../wire/transport.ts';

/** What this file needs of a connection. */
export interface Connection {
  readonly peer: PeerAddress;
  /** Bytes that have gone out. */
  readonly bytesSent: number;
  /** Closes at once; what serves it ends soon. */
  destroy(): void;
}

/** What a listener does with its connections. */
export interface Service<C extends Connection> {
  /** Serves an admitted connection and closes it. Never rejects. */
  serve(connection: C, daemon: Daemon, ticket: AdmissionTicket): Promise<void>;
  /** Ends a connection that met a cap, and releases the refusal. */
  refuse(connection: C, refusal: AdmissionRefusal): void;
}

/** What sessions are counted against. */
export interface SessionBounds {
  readonly admission: Admission;
  readonly accepts: FairAccept;
}

/** One for each worker. */
export class RunningSessions {
  readonly #running = new Map<Connection, Promise<void>>();
  #bounds: SessionBounds | null = null;
  /** Null until the modules are proven read-only: connections of that first moment wait. */
  #daemon: Daemon | null = null;
  #waiting: (() => void)[] = [];
  /** Bytes that the sessions of the past have sent. */
  #bytesSent = 0;

  get count(): number {
    return this.#running.size;
  }

  /** Bytes sent to all clients since the start. */
  get bytesSent(): number {
    return this.#running.keys().reduce((sum, { bytesSent }) => sum + bytesSent, this.#bytesSent);
  }

  /** Begins to serve, with those that have connected already; once more for a new configuration, which holds from the next one on. */
  open(daemon: Daemon, bounds: SessionBounds): void {
    this.#daemon = daemon;
    this.#bounds = bounds;
    for (const start of this.#waiting.splice(0)) start();
  }

  start<C extends Connection>(connection: C, service: Service<C>): void {
    const daemon = this.#daemon;
    const bounds = this.#bounds;
    if (daemon === null || bounds === null) {
      this.#waiting.push(() => this.start(connection, service));
      return;
    }
    const ticket = bounds.admission.admit(connection.peer);
    if (ticket instanceof AdmissionRefusal) {
      daemon.registry.connectionRefused();
      // SECURITY: a flood of connections must not become a flood of lines (B-26b).
      const line = createSessionLogger(daemon.logger, daemon.logBudget, daemon.limits);
      line.info({ peer: connection.peer.address, limit: ticket.cap }, 'connection refused');
      const refuse = (): void => service.refuse(connection, ticket);
      // SECURITY: to say why takes longer than to close, and is done in the client's turn.
      if (ticket.mayTell) void connectionTurn(ticket.client).then(refuse);
      else {
        connectionClosed(ticket.client);
        refuse();
      }
      return;
    }
    // SECURITY: whoever connects again and again waits for its turn, as for all that it has us do.
    const served = connectionTurn(ticket.client).then(() => service.serve(connection, daemon, ticket));
    const ended = served.finally(() => {
      ticket.release();
      bounds.accepts.ended();
      this.#bytesSent += connection.bytesSent;
      this.#running.delete(connection);
    });
    this.#running.set(connection, ended);
    bounds.accepts.began();
  }

  /** A connection was closed because it does not come from a trusted proxy, or without a header: the log says so. */
  headerMissing({ address: peer, port }: PeerAddress, { code, message, limit }: RsyncError): void {
    if (this.#daemon === null) return;
    const { logger, logBudget, limits, registry } = this.#daemon;
    registry.connectionRefused();
    if (limit !== undefined) limitHits.count(limit);
    const line = createSessionLogger(logger, logBudget, limits, { peer, port });
    line.info({ outcome: code, detail: message, ...(limit !== undefined && { limit }) }, 'no PROXY header');
  }

  /** Waits until no session runs any more. */
  async finished(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  /** Cuts every session off. */
  destroyAll(): void {
    for (const connection of this.#running.keys()) connection.destroy();
  }
}
