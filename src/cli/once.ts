/**
 * --once: one module, one client, one password; main.ts calls it.
 *
 * Made for a machine that is backed up through a tunnel which it opens itself (`ssh -R`): standard output gets one line of JSON that
 * says where and with which password to pull, then, at the end, one that says what came of it.
 */

import { randomBytes } from 'node:crypto';
import { loadChecksums } from '../checksum/pool.ts';
import { Limiter } from '../compress/limiter.ts';
import { loadLz4 } from '../compress/lz4.ts';
import type { Config, ConfigFlags, LoadContext, ModuleAuth, ModuleConfig } from '../config/config.ts';
import { parseListenAddress } from '../config/listen-address.ts';
import { readConfig } from '../config/load.ts';
import { ConfigError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { type Listener, listenTcp, listenUnix, type OnConnection } from '../listener/tcp.ts';
import { createLogger, type RootLogger } from '../observe/log.ts';
import { LogBudget, type SessionRecord } from '../observe/session-log.ts';
import { SessionRegistry } from '../observe/session-registry.ts';
import { assertReadOnly } from '../sandbox/verify.ts';
import type { Daemon } from '../session/session.ts';
import { closeModuleRoot, openModuleRoot } from '../vfs/module-root.ts';
import { OnlyVisit } from './only-visit.ts';
import type { Command } from './options.ts';
import { showProgress } from './progress-line.ts';
import { loadHostTables, servedModules } from './served-modules.ts';
import { endSignal } from './signals.ts';

/** The tunnel's end. */
const DEFAULT_ADDRESS = '127.0.0.1:0';

const USER = 'once';

/** 192 random bits: no number of guesses matters, nor which digest a captured answer was made with. */
const PASSWORD_BYTES = 24;

/** Time for the last log lines. */
const LOG_FLUSH_MS = 1000;

/**
 * Serves the one client to its end.
 * @returns the exit code: 0 when the transfer was completed, else rsync's code for what went wrong.
 * @throws ConfigError, SandboxError before anything is served.
 */
export async function runOnce(
  { flags, timeoutMs }: Extract<Command, { kind: 'once' }>,
  context: LoadContext,
): Promise<number> {
  const config = onceConfig(flags, context);
  const module = onlyModule(config);
  const limits = onceLimits(config.limits);
  const password = randomBytes(PASSWORD_BYTES).toString('base64url');
  const logger = onceLogger(config);
  closeModuleRoot(openModuleRoot(Buffer.from(module.path), limits));
  assertReadOnly([module]);
  const daemon = await onceDaemon({ ...config, limits, modules: [onceModule(module, password)] }, logger);
  const visit = new OnlyVisit(daemon);
  void endSignal().then((signal) => visit.interrupt(signal));
  const listener = await listenAt(flags.listen ?? DEFAULT_ADDRESS, (transport) => visit.start(transport));
  printJson({ address: listener.addressText, module: module.name, user: USER, password });
  const progress = process.stderr.isTTY ? showProgress(() => visit.progress, process.stderr) : null;
  const record = await visit.outcome(timeoutMs, listener);
  progress?.stop();
  printJson(summaryOf(record));
  await logger.flushed(LOG_FLUSH_MS);
  return record.exit;
}

/** Only what this command line names: other modules and addresses of the machine's daemon are none of its business. */
function onceConfig(flags: ConfigFlags, context: LoadContext): Config {
  return readConfig({ ...flags, listen: null }, null, context, []);
}

function onlyModule({ modules }: Config): ModuleConfig {
  const [module, ...others] = modules;
  if (module !== undefined && others.length === 0) return module;
  throw new ConfigError(
    `--once serves one module, and there are ${modules.length}: give one --gokr.modulemap=NAME=PATH`,
  );
}

/** Who has the password is the owner's own backup server: it may take days. What strangers can reach before a login stays. */
function onceLimits(limits: Readonly<Limits>): Readonly<Limits> {
  return { ...limits, sessionMs: 0, fileMessages: 1_000_000 };
}

/** On a terminal the progress has the last line, and what a person need not know stays out of its way. */
function onceLogger({ logLevel }: Config): RootLogger {
  const isTerminal = process.stderr.isTTY;
  return createLogger({ level: isTerminal ? 'warn' : logLevel, isTerminal });
}

/** Nobody sees its name without the password. */
function onceModule(module: ModuleConfig, password: string): ModuleConfig {
  return { ...module, list: false, auth: loginWith(password) };
}

function loginWith(password: string): ModuleAuth {
  const expected = Buffer.from(password);
  return {
    users: [USER],
    digest: 'md4',
    passwordOf: (user) => (user.equals(Buffer.from(USER)) ? expected : null),
  };
}

async function onceDaemon(config: Config, logger: RootLogger): Promise<Daemon> {
  const { limits, motd } = config;
  await loadChecksums();
  return {
    modules: servedModules(config, await loadHostTables(config)),
    limits,
    motd,
    compression: { limiter: new Limiter(limits.compressionJobs), lz4: await loadLz4() },
    logger,
    logBudget: new LogBudget(limits),
    registry: new SessionRegistry(),
  };
}

/** @param address as an address and port, or the absolute path of a unix socket. */
function listenAt(address: string, onConnection: OnConnection): Promise<Listener> {
  if (address.startsWith('/')) return listenUnix({ path: address }, onConnection);
  return listenTcp(parseListenAddress(address), onConnection);
}

/** The fields of the log's last line about a session; what is not known is left out. */
function summaryOf({ seconds, ...record }: Readonly<SessionRecord>): object {
  const known = Object.entries(record).filter(([, value]) => value !== null);
  return { ...Object.fromEntries(known), seconds: Math.round(seconds * 1000) / 1000 };
}

function printJson(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
