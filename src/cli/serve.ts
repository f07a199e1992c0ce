/** The running daemon: opens listeners, gives up root, proves that it cannot write, serves until a signal ends it. */

import { loadChecksums } from '../checksum/pool.ts';
import type { CompressionTools } from '../compress/choose.ts';
import { Limiter } from '../compress/limiter.ts';
import { loadLz4 } from '../compress/lz4.ts';
import type { Config } from '../config/config.ts';
import { isSocketFd } from '../config/descriptors.ts';
import { ConfigError } from '../errors.ts';
import { inheritedSockets } from '../listener/activation.ts';
import { Admission, AdmissionRefusal, refuseConnection } from '../listener/admission.ts';
import type { SocketTransport } from '../listener/socket-transport.ts';
import { type Listener, listenFd, listenTcp } from '../listener/tcp.ts';
import { createLogger, type RootLogger } from '../observe/log.ts';
import { LogBudget } from '../observe/session-log.ts';
import { dropToNobody } from '../sandbox/identity.ts';
import { assertReadOnly } from '../sandbox/verify.ts';
import { OUR_GREETING } from '../session/greeting.ts';
import { type Daemon, runSession } from '../session/session.ts';
import { closeModuleRoot, openModuleRoot } from '../vfs/module-root.ts';
import { loadHostTables, servedModules } from './served-modules.ts';
import { connectServiceManager, statusText } from './service-manager.ts';

/** Time that running sessions get after the first signal. */
const SHUTDOWN_GRACE_MS = 5000;

/** Time for the last log lines. */
const LOG_FLUSH_MS = 1000;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Serves until SIGTERM or SIGINT.
 * @returns the exit code.
 * @throws ConfigError, SandboxError before anything is served.
 */
export async function serve(config: Config, environment: Environment): Promise<number> {
  await loadChecksums();
  const tables = await loadHostTables(config);
  const compression = { limiter: new Limiter(config.limits.compressionJobs), lz4: await loadLz4() };
  const logger = createLogger({
    level: config.logLevel,
    isTerminal: process.stderr.isTTY,
    journald: environment.JOURNAL_STREAM !== undefined,
  });
  for (const warning of config.warnings) logger.warn(warning);
  const manager = await connectServiceManager(environment, process.pid);
  const sessions = new RunningSessions(config, compression, logger);
  const listeners = await openListeners(config, environment, (transport) => sessions.start(transport));
  try {
    logger.info(dropToNobody());
    // SECURITY: a root behind a stranger's link is refused now, not when the first client comes (CVE-2026-53784).
    for (const { path } of config.modules) closeModuleRoot(openModuleRoot(Buffer.from(path), config.limits));
    for (const summary of assertReadOnly(config.modules)) logger.info({ ...summary }, 'module is read-only for us');
    sessions.open(servedModules(config, tables));
    for (const listener of listeners) logger.info({ address: listener.addressText }, 'listening');
    manager.ready(() => statusText(sessions.count, sessions.bytesSent));
    const signal = await endSignal();
    manager.stopping();
    logger.info({ signal, sessions: sessions.count }, 'stopping');
  } finally {
    for (const listener of listeners) await listener.close();
  }
  await sessions.finish();
  manager.close();
  await logger.flushed(LOG_FLUSH_MS);
  return 0;
}

/** Inherited sockets where there are any, else the configured addresses. */
async function openListeners(
  config: Config,
  environment: Environment,
  onConnection: (transport: SocketTransport) => void,
): Promise<Listener[]> {
  const inherited = inheritedSockets(environment, process.pid, isSocketFd);
  const opening =
    inherited.length > 0
      ? inherited.map(({ fd }) => listenFd(fd, onConnection))
      : config.listeners.map(({ address }) => listenTcp(address, onConnection));
  if (opening.length === 0) {
    throw new ConfigError('nothing to listen on: add a [[listener]] with rsyncd = "[::]:873", or give --gokr.listen');
  }
  return Promise.all(opening);
}

/** The sessions of this process and what they share. */
class RunningSessions {
  readonly #config: Config;
  readonly #compression: CompressionTools;
  readonly #logger: RootLogger;
  readonly #admission: Admission;
  readonly #running = new Map<SocketTransport, Promise<void>>();
  /** Null until the modules are proven read-only: connections of that first moment wait. */
  #daemon: Daemon | null = null;
  #waiting: SocketTransport[] = [];
  /** Bytes that the sessions of the past have sent. */
  #bytesSent = 0;

  constructor(config: Config, compression: CompressionTools, logger: RootLogger) {
    this.#config = config;
    this.#compression = compression;
    this.#logger = logger;
    this.#admission = new Admission(config.limits);
  }

  get count(): number {
    return this.#running.size;
  }

  /** Bytes sent to all clients since the start. */
  get bytesSent(): number {
    return this.#running.keys().reduce((sum, transport) => sum + transport.bytesSent, this.#bytesSent);
  }

  /** Begins to serve, with those that have connected already. */
  open(modules: Daemon['modules']): void {
    const { limits, motd } = this.#config;
    const logBudget = new LogBudget(limits);
    this.#daemon = { modules, limits, motd, compression: this.#compression, logger: this.#logger, logBudget };
    for (const transport of this.#waiting.splice(0)) this.start(transport);
  }

  start(transport: SocketTransport): void {
    if (this.#daemon === null) {
      this.#waiting.push(transport);
      return;
    }
    const ticket = this.#admission.admit(transport.peer);
    if (ticket instanceof AdmissionRefusal) {
      this.#logger.info({ peer: transport.peer.address, limit: ticket.cap }, 'connection refused');
      refuseConnection(transport, ticket, this.#config.limits, OUR_GREETING);
      return;
    }
    const ended = runSession(transport, this.#daemon, ticket).finally(() => {
      ticket.release();
      this.#bytesSent += transport.bytesSent;
      this.#running.delete(transport);
    });
    this.#running.set(transport, ended);
  }

  /** Waits for the running sessions, then ends them. */
  async finish(): Promise<void> {
    const cut = setTimeout(() => {
      for (const transport of this.#running.keys()) transport.destroy();
    }, SHUTDOWN_GRACE_MS);
    const again = endSignal().then(() => {
      for (const transport of this.#running.keys()) transport.destroy();
    });
    await Promise.race([Promise.all(this.#running.values()), again]);
    await Promise.all(this.#running.values());
    clearTimeout(cut);
  }
}

function endSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const onSignal = (signal: NodeJS.Signals) => {
      process.off('SIGTERM', onSignal);
      process.off('SIGINT', onSignal);
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
