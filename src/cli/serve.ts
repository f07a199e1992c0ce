/** The running daemon: opens listeners, gives up root, proves that it cannot write, serves until a signal ends it. */

import { loadChecksums } from '../checksum/pool.ts';
import { Limiter } from '../compress/limiter.ts';
import { loadLz4 } from '../compress/lz4.ts';
import type { Config } from '../config/config.ts';
import { isSocketFd } from '../config/descriptors.ts';
import { formatListenAddress } from '../config/listen-address.ts';
import { ConfigError } from '../errors.ts';
import { inheritedSockets } from '../listener/activation.ts';
import { createLogger, type Logger } from '../observe/log.ts';
import { LogBudget } from '../observe/session-log.ts';
import { SessionRegistry } from '../observe/session-registry.ts';
import { ownerWarning } from '../sandbox/user-namespace.ts';
import { settleSandbox } from './guarantees.ts';
import { keyFields, keyWarnings, type ListenerKeys } from './listener-keys.ts';
import {
  type ListenerPlan,
  leftOut,
  type OpenListener,
  openListeners,
  type Place,
  planListeners,
  planMonitoring,
} from './listeners.ts';
import { Monitor } from './monitor.ts';
import { RunningSessions } from './running-sessions.ts';
import { loadHostTables, servedModules } from './served-modules.ts';
import { connectServiceManager, statusText } from './service-manager.ts';
import { endSignal, onReloadSignal } from './signals.ts';
import type { Start } from './stages.ts';

/** Time for the last log lines. */
const LOG_FLUSH_MS = 1000;

/**
 * Serves until SIGTERM or SIGINT; SIGHUP reads authorized keys and certificates again.
 * @returns the exit code.
 * @throws ConfigError, SandboxError before anything is served.
 */
export async function serve(start: Start): Promise<number> {
  const { config, environment, context } = start;
  const { limits, motd } = config;
  await loadChecksums();
  const tables = await loadHostTables(config);
  const compression = { limiter: new Limiter(limits.compressionJobs), lz4: await loadLz4() };
  const logger = createLogger({
    level: config.logLevel,
    isTerminal: process.stderr.isTTY,
    journald: environment.JOURNAL_STREAM !== undefined,
  });
  for (const warning of config.warnings) logger.warn(warning);
  const owners = ownerWarning();
  if (owners !== null) logger.warn(owners);
  const manager = await connectServiceManager(environment, process.pid, start.notifyFd);
  const sessions = new RunningSessions(limits);
  const registry = new SessionRegistry();
  const logBudget = new LogBudget(limits);
  const monitor = new Monitor(config, logger, [logBudget]);
  const { plans, monitoring } = placesOf(start);
  for (const { kind, address } of leftOut(config, plans)) {
    logger.warn(
      { listener: kind, address: formatListenAddress(address) },
      'not opened: no inherited socket has its name',
    );
  }
  const listeners = await openListeners(plans, sessions, { limits, context });
  try {
    const watched = await monitor.listen(monitoring);
    for (const { addressText } of watched) logger.info({ address: addressText }, 'monitoring');
    if (watched.length > 0) registry.watchLoop('main');
    const guarantees = await settleSandbox(start, logger);
    const modules = servedModules(config, tables);
    sessions.open({ modules, limits, motd, compression, logger, logBudget, registry });
    announce(listeners, config, logger);
    onReloadSignal(() => reloadKeys(listeners, config, logger));
    const shown = listeners.map(({ addressText, keys }) => ({ kind: keys.current.kind, address: addressText }));
    if (watched.length > 0) monitor.ready(() => [registry.snapshot()], shown, guarantees);
    manager.ready(() => statusText(sessions.count, sessions.bytesSent));
    const signal = await endSignal();
    manager.stopping();
    monitor.draining();
    logger.info({ signal, sessions: sessions.count }, 'stopping');
  } finally {
    for (const listener of listeners) await listener.close();
  }
  await sessions.finish();
  await monitor.close();
  manager.close();
  await logger.flushed(LOG_FLUSH_MS);
  return 0;
}

/** Sockets that the first stage has bound, those of a service manager, or addresses. */
function placesOf({ config, environment, sockets }: Start): { plans: ListenerPlan[]; monitoring: Place[] } {
  const inherited = inheritedSockets(environment, process.pid, isSocketFd);
  const plans = planListeners(config, inherited);
  if (sockets === null) return { plans, monitoring: planMonitoring(config, inherited) };
  return {
    plans: plans.map((plan, index) => ({ ...plan, place: { fd: sockets.listeners[index]! } })),
    monitoring: sockets.monitoring.map((fd) => ({ fd })),
  };
}

function announce(listeners: readonly OpenListener[], config: Config, logger: Logger): void {
  for (const { addressText, keys } of listeners) {
    warnOfKeys(keys.current, config, logger);
    const fields = { address: addressText, listener: keys.current.kind, ...keyFields(keys.current) };
    logger.info(fields, 'listening');
  }
}

/** Reads what may be read again. A file that is wrong changes nothing: the daemon goes on with what it has. */
function reloadKeys(listeners: readonly OpenListener[], config: Config, logger: Logger): void {
  for (const { addressText, keys } of listeners) {
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
    logger.info({ ...place, ...keyFields(keys.current) }, 'keys read again');
  }
}

function warnOfKeys(keys: ListenerKeys, { modules }: Config, logger: Logger): void {
  const names = modules.map(({ name }) => name);
  for (const warning of keyWarnings(keys, names)) logger.warn(warning);
}
