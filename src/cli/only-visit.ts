/** The one client of --once among all that connect: who logs in first has the place; once.ts waits for what comes of it. */

import { AccessError, Bug, EXIT, RsyncError, TimeoutError } from '../errors.ts';
import { Admission, AdmissionRefusal, refuseConnection } from '../listener/admission.ts';
import type { SocketTransport } from '../listener/socket-transport.ts';
import type { Listener } from '../listener/tcp.ts';
import type { SessionRecord } from '../observe/session-log.ts';
import { OUR_GREETING } from '../session/greeting.ts';
import { type Daemon, emptyRecord, runSession } from '../session/session.ts';
import type { Progress } from './progress-line.ts';

/** What sessions without a login end with when the answer was wrong. */
const FAILED_LOGIN = 'access:auth';

export class OnlyVisit {
  readonly #daemon: Daemon;
  readonly #admission: Admission;
  readonly #open = new Set<SocketTransport>();
  readonly #entered = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<Readonly<SessionRecord>>();
  #failedLogins = 0;
  /** The session that has the place. */
  #client: Readonly<SessionRecord> | null = null;

  constructor(daemon: Daemon) {
    this.#daemon = daemon;
    this.#admission = new Admission(daemon.limits);
    this.#ended.promise.catch(() => {});
  }

  /** Null before a client has logged in. */
  get progress(): Progress | null {
    if (this.#client === null) return null;
    const { port } = this.#client;
    return this.#daemon.registry.snapshot().live.find((one) => one.user !== null && one.port === port) ?? null;
  }

  /** Serves a connection up to its login, and the one that logs in to its end. */
  start(transport: SocketTransport): void {
    const ticket = this.#admission.admit(transport.peer);
    if (ticket instanceof AdmissionRefusal) {
      refuseConnection(transport, ticket, this.#daemon.limits, OUR_GREETING);
      return;
    }
    this.#open.add(transport);
    const daemon: Daemon = {
      ...this.#daemon,
      onLogin: (record) => this.#enter(transport, record),
      onEnd: (record) => this.#end(record),
    };
    void runSession(transport, daemon, ticket).finally(() => {
      ticket.release();
      this.#open.delete(transport);
    });
  }

  /** Ends everything because of a signal. */
  interrupt(signal: NodeJS.Signals): void {
    this.#giveUp(new RsyncError(`ended by ${signal}`, { code: 'signal', exit: EXIT.SIGNAL }));
  }

  /**
   * Waits for the client and for the end of its session. From its login on nobody else is served.
   * @param timeoutMs until it must have logged in.
   * @returns what came of it. Never rejects.
   */
  async outcome(timeoutMs: number, listener: Listener): Promise<Readonly<SessionRecord>> {
    const late = setTimeout(() => this.#giveUp(new TimeoutError('no client has logged in in time')), timeoutMs);
    try {
      await Promise.race([this.#entered.promise, this.#ended.promise]);
      clearTimeout(late);
      await listener.close();
      return settled(await this.#ended.promise);
    } catch (thrown) {
      await listener.close();
      return failure(thrown instanceof RsyncError ? thrown : new Bug('unexpected exception', { cause: thrown }));
    } finally {
      clearTimeout(late);
      this.#destroyAll();
    }
  }

  #enter(transport: SocketTransport, record: Readonly<SessionRecord>): boolean {
    // SECURITY: two clients may know the password, as when somebody has stolen it; one of them is served.
    if (this.#client !== null) return false;
    this.#client = record;
    for (const other of this.#open) if (other !== transport) other.destroy();
    this.#entered.resolve();
    return true;
  }

  #end(record: Readonly<SessionRecord>): void {
    if (record === this.#client) this.#ended.resolve(record);
    else if (record.outcome === FAILED_LOGIN && this.#client === null) this.#countFailedLogin();
  }

  #countFailedLogin(): void {
    this.#failedLogins++;
    if (this.#failedLogins < this.#daemon.limits.onceFailedLogins) return;
    const text = `${this.#failedLogins} failed logins`;
    this.#giveUp(new AccessError(text, '', { code: 'access:auth', limit: 'onceFailedLogins' }));
  }

  #giveUp(reason: RsyncError): void {
    this.#ended.reject(reason);
    this.#destroyAll();
  }

  #destroyAll(): void {
    for (const transport of this.#open) transport.destroy();
  }
}

/** SECURITY: a client that says good-bye with an error has not got everything, also when it names the code 0. */
function settled(record: Readonly<SessionRecord>): Readonly<SessionRecord> {
  return record.outcome === 'ok' || record.exit !== EXIT.OK ? record : { ...record, exit: EXIT.PARTIAL };
}

function failure({ code, exit, message }: RsyncError): Readonly<SessionRecord> {
  return { ...emptyRecord('', 0), outcome: code, exit, detail: message };
}
