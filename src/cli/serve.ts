/** The running daemon: opens listeners, gives up root, proves that it cannot write, serves until a signal ends it. */

import type { Config } from '../config/config.ts';
import { isSocketFd } from '../config/descriptors.ts';
import { formatListenAddress } from '../config/listen-address.ts';
import { ConfigError, EXIT } from '../errors.ts';
import { inheritedSockets } from '../listener/activation.ts';
import { createLogger, type Logger, type RootLogger } from '../observe/log.ts';
import type { ServiceNotifier } from '../observe/notify.ts';
import { ownerWarning } from '../sandbox/user-namespace.ts';
import { settleSandbox } from './guarantees.ts';
import { keyFields, keyWarnings, type ListenerKeys } from './listener-keys.ts';
import { type ListenerPlan, leftOut, type Place, planListeners, planMonitoring } from './listeners.ts';
import { Monitor } from './monitor.ts';
import { Reload } from './reload.ts';
import { loadHostTables } from './served-modules.ts';
import { connectServiceManager, statusText } from './service-manager.ts';
import { endSignal, onReloadSignal } from './signals.ts';
import type { Start } from './stages.ts';
import { quieter, terminalOf } from './terminal.ts';
import { type OpenListener, openWorkers, type Workers } from './workers.ts';

/** Time for the last log lines. */
const LOG_FLUSH_MS = 1000;

/** Time that running sessions get after the first signal. */
const SHUTDOWN_GRACE_MS = 5000;

/**
 * Serves until SIGTERM or SIGINT; SIGHUP reads the configuration again, and what it names.
 * @param entry the file that Node runs; workers run it as well.
 * @returns the exit code.
 * @throws ConfigError, SandboxError before anything is served, Bug when workers cannot be kept alive.
 */
export async function serve(start: Start, entry: URL): Promise<number> {
  const { config, environment, context } = start;
  const tables = await loadHostTables(config, start.outcome.ownRoot);
  const terminal = terminalOf(process.stderr, environment);
  const logger = createLogger({
    level: terminal === null ? config.logLevel : quieter(config.logLevel),
    isTerminal: terminal !== null,
    isText: config.logFormat === 'text',
    journald: terminal === null && environment.JOURNAL_STREAM !== undefined,
  });
  endOnException(logger);
  for (const warning of config.warnings) logger.warn(warning);
  const owners = ownerWarning();
  if (owners !== null) logger.warn(owners);
  const { plans, monitoring } = placesOf(start);
  for (const { kind, address } of leftOut(config, plans)) {
    logger.warn(
      { listener: kind, address: formatListenAddress(address) },
      'not opened: no inherited socket has its name',
    );
  }
  const workers = await openWorkers({ config, context, plans, logger, entry });
  const monitor = new Monitor(config, logger, [workers.logBudget]);
  let live: { stop(): void } | null = null;
  let manager: ServiceNotifier | null = null;
  try {
    const watched = await monitor.listen(monitoring);
    for (const { addressText } of watched) logger.info({ address: addressText }, 'monitoring');
    const guarantees = await settleSandbox(start, logger);
    const linkless = config.modules.filter(({ path }) => tables.linkless.has(path)).map(({ name }) => name);
    if (linkless.length > 0) logger.info({ modules: linkless }, 'mounted so that the kernel follows no link');
    await workers.start(config, tables, watched.length > 0);
    if (environment.NOTIFY_SOCKET !== undefined) await answerThoseWhoWait();
    manager = await connectServiceManager(environment, process.pid, start.notifyFd);
    // Before anybody can know that we serve: without a handler, a signal ends the process.
    onReloadSignal(reloadFor(start, workers, logger, manager));
    const ending = endSignal();
    announce(workers.listeners, config, logger);
    if (terminal !== null) {
      const monitored = watched.map(({ addressText }) => addressText);
      const { startSummary } = await import('./start-summary.ts');
      const started = { config, listeners: workers.listeners, monitoring: monitored, guarantees };
      logger.writeText(() => startSummary(started, terminal.isColoured));
      logger.level = config.logLevel;
      if (terminal.canMove) live = (await import('./live-lines.ts')).showTransfers(workers, logger, terminal);
    }
    const shown = workers.listeners.map(({ addressText, keys }) => ({ kind: keys.current.kind, address: addressText }));
    if (watched.length > 0) monitor.ready(() => workers.snapshot(), shown, guarantees);
    manager.ready(
      () => statusText(workers.sessions, workers.bytesSent),
      () => workers.isResponsive,
    );
    const signal = await Promise.race([ending, workers.failure]);
    manager.stopping();
    monitor.draining();
    logger.info({ signal, sessions: workers.sessions }, 'stopping');
    await workers.finish(SHUTDOWN_GRACE_MS, endSignal());
  } finally {
    live?.stop();
    await workers.close();
    await monitor.close();
    manager?.close();
  }
  await logger.flushed(LOG_FLUSH_MS);
  return 0;
}

/**
 * Lets the event loop accept whose connection has started this service, and greet him, before the connection to the service manager is
 * made, which takes a tenth of a start. A socket that was just opened is looked at in the second turn.
 */
async function answerThoseWhoWait(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Sockets that the first stage has bound, those of a service manager, or addresses. */
function placesOf({ config, environment, sockets, spares }: Start): { plans: ListenerPlan[]; monitoring: Place[] } {
  const inherited = inheritedSockets(environment, process.pid, isSocketFd);
  const plans = planListeners(config, inherited).map((plan, index) => ({ ...plan, duplicates: spares[index] ?? [] }));
  if (sockets === null) return { plans, monitoring: planMonitoring(config, inherited) };
  return {
    plans: plans.map((plan, index) => ({ ...plan, place: { fd: sockets.listeners[index]! } })),
    monitoring: sockets.monitoring.map((fd) => ({ fd })),
  };
}

/** What no session and no worker has caught ends the process, with a code after which service managers start it again. */
function endOnException(logger: RootLogger): void {
  process.on('uncaughtException', (thrown) => {
    logger.fatal({ err: thrown }, 'internal error: the process ends');
    void logger.flushed(LOG_FLUSH_MS).then(() => process.exit(EXIT.IPC));
  });
}

function announce(listeners: readonly OpenListener[], config: Config, logger: Logger): void {
  for (const { addressText, keys } of listeners) {
    warnOfKeys(keys.current, config, logger);
    const fields = { address: addressText, listener: keys.current.kind, ...keyFields(keys.current) };
    logger.info(fields, 'listening');
  }
}

/** What SIGHUP does. */
function reloadFor(start: Start, workers: Workers, logger: Logger, manager: ServiceNotifier): () => void {
  const reload = new Reload(start.config, {
    read: start.readAgain,
    apply: (next, tables) => workers.apply(next, tables),
    readKeys: (current) => reloadKeys(workers, current, logger),
    logger,
    manager,
    ownRoot: start.outcome.ownRoot,
  });
  return () => reload.request();
}

/** Reads what may be read again. A file that is wrong changes nothing: the daemon goes on with what it has. */
function reloadKeys(workers: Workers, config: Config, logger: Logger): void {
  for (const [index, { addressText, keys }] of workers.listeners.entries()) {
    if (keys.current.kind === 'rsyncd' || keys.current.kind === 'anon_ssh') continue;
    const place = { address: addressText, listener: keys.current.kind };
    try {
      keys.reload();
    } catch (thrown) {
      if (!(thrown instanceof ConfigError)) throw thrown;
      logger.error({ ...place, detail: thrown.message }, 'keys not read again: those of before stay in force');
      continue;
    }
    warnOfKeys(keys.current, config, logger);
    const fields = { ...place, ...keyFields(keys.current) };
    workers.applyKeys(index).then(
      () => logger.info(fields, 'keys read again'),
      (thrown) => logger.error({ ...place, err: thrown }, 'internal error'),
    );
  }
}

function warnOfKeys(keys: ListenerKeys, { modules }: Config, logger: Logger): void {
  const names = modules.map(({ name }) => name);
  for (const warning of keyWarnings(keys, names)) logger.warn(warning);
}
