/** The running daemon: opens listeners, gives up root, proves that it cannot write, serves until a signal ends it. */

import { loadChecksums } from '../checksum/pool.ts';
import { Limiter } from '../compress/limiter.ts';
import { loadLz4 } from '../compress/lz4.ts';
import type { Config, LoadContext } from '../config/config.ts';
import { isSocketFd } from '../config/descriptors.ts';
import { formatListenAddress } from '../config/listen-address.ts';
import { ConfigError } from '../errors.ts';
import { inheritedSockets } from '../listener/activation.ts';
import { createLogger, type Logger } from '../observe/log.ts';
import { LogBudget } from '../observe/session-log.ts';
import { SessionRegistry } from '../observe/session-registry.ts';
import { dropToNobody } from '../sandbox/identity.ts';
import { ownerWarning } from '../sandbox/user-namespace.ts';
import { assertReadOnly } from '../sandbox/verify.ts';
import { closeModuleRoot, openModuleRoot } from '../vfs/module-root.ts';
import { keyFields, keyWarnings, type ListenerKeys } from './listener-keys.ts';
import { leftOut, type OpenListener, openListeners, planListeners, planMonitoring } from './listeners.ts';
import { Monitor, readOnlyGuarantees } from './monitor.ts';
import { RunningSessions } from './running-sessions.ts';
import { loadHostTables, servedModules } from './served-modules.ts';
import { connectServiceManager, statusText } from './service-manager.ts';
import { endSignal, onReloadSignal } from './signals.ts';

/** Time for the last log lines. */
const LOG_FLUSH_MS = 1000;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Serves until SIGTERM or SIGINT; SIGHUP reads authorized keys and certificates again.
 * @returns the exit code.
 * @throws ConfigError, SandboxError before anything is served.
 */
export async function serve(config: Config, environment: Environment, context: LoadContext): Promise<number> {
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
  const manager = await connectServiceManager(environment, process.pid);
  const sessions = new RunningSessions(limits);
  const registry = new SessionRegistry();
  const logBudget = new LogBudget(limits);
  const monitor = new Monitor(config, logger, [logBudget]);
  const inherited = inheritedSockets(environment, process.pid, isSocketFd);
  const plans = planListeners(config, inherited);
  for (const { kind, address } of leftOut(config, plans)) {
    logger.warn(
      { listener: kind, address: formatListenAddress(address) },
      'not opened: no inherited socket has its name',
    );
  }
  const listeners = await openListeners(plans, sessions, { limits, context });
  try {
    const watched = await monitor.listen(planMonitoring(config, inherited));
    for (const { addressText } of watched) logger.info({ address: addressText }, 'monitoring');
    if (watched.length > 0) registry.watchLoop('main');
    logger.info(dropToNobody());
    // SECURITY: a root behind a stranger's link is refused now, not when the first client comes (CVE-2026-53784).
    for (const { path } of config.modules) closeModuleRoot(openModuleRoot(Buffer.from(path), limits));
    const readOnly = assertReadOnly(config.modules);
    for (const summary of readOnly) logger.info({ ...summary }, 'module is read-only for us');
    const modules = servedModules(config, tables);
    sessions.open({ modules, limits, motd, compression, logger, logBudget, registry });
    announce(listeners, config, logger);
    onReloadSignal(() => reloadKeys(listeners, config, logger));
    const shown = listeners.map(({ addressText, keys }) => ({ kind: keys.current.kind, address: addressText }));
    if (watched.length > 0) monitor.ready(() => [registry.snapshot()], shown, readOnlyGuarantees(readOnly));
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
