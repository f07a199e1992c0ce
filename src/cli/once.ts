/**
 * --once: one module, one client, one password; main.ts calls it.
 *
 * Made for a machine that is backed up through a tunnel which it opens itself (`ssh -R`): standard output gets one line of JSON that
 * says where and with which password to pull, then, at the end, one that says what came of it.
 */

import { randomBytes } from 'node:crypto';
import { Limiter } from '../compress/limiter.ts';
import type { Config, LoadContext, ModuleAuth, ModuleConfig } from '../config/config.ts';
import type { Limits } from '../limits.ts';
import { type Listener, listenFd, listenTcp, listenUnix, type OnConnection } from '../listener/tcp.ts';
import { createLogger, type RootLogger } from '../observe/log.ts';
import { LogBudget, type SessionRecord } from '../observe/session-log.ts';
import { SessionRegistry } from '../observe/session-registry.ts';
import { TransferLog } from '../observe/transfer-log.ts';
import { assertReadOnly } from '../sandbox/verify.ts';
import type { Daemon } from '../session/session.ts';
import { type OnceStart, prepareOnce } from './once-stage.ts';
import { OnlyVisit } from './only-visit.ts';
import type { Command } from './options.ts';
import { showProgress } from './progress-line.ts';
import { loadHostTables, servedModules } from './served-modules.ts';
import { toolsOnDemand } from './session-tools.ts';
import { endSignal } from './signals.ts';

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
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const start = await prepareOnce(flags, context, environment);
  const { config, module, outcome } = start;
  const limits = onceLimits(config.limits);
  const password = randomBytes(PASSWORD_BYTES).toString('base64url');
  const logger = onceLogger(config);
  for (const gap of outcome.gaps) logger.warn({ gap }, 'sandbox: not all of it is possible here');
  // SECURITY: what counts is what can be written once the sandbox stands: the files may be this user's own.
  assertReadOnly([module], { onlyProven: outcome.landlockAbi > 0 });
  const daemon = await onceDaemon({ ...config, limits, modules: [onceModule(module, password)] }, logger);
  const visit = new OnlyVisit(daemon);
  void endSignal().then((signal) => visit.interrupt(signal));
  const listener = await listenAt(start.place, (transport) => visit.start(transport));
  printJson({
    address: flags.listen?.startsWith('/') ? flags.listen : listener.addressText,
    module: module.name,
    user: USER,
    password,
  });
  const progress = process.stderr.isTTY ? showProgress(() => visit.progress, process.stderr) : null;
  const record = await visit.outcome(timeoutMs, listener);
  progress?.stop();
  printJson(summaryOf(record));
  await logger.flushed(LOG_FLUSH_MS);
  return record.exit;
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
  return {
    modules: servedModules(config, await loadHostTables(config)),
    limits,
    motd,
    tools: toolsOnDemand(new Limiter(limits.compressionJobs)),
    logger,
    logBudget: new LogBudget(limits),
    registry: new SessionRegistry(),
    transferLog: new TransferLog(limits),
  };
}

function listenAt(place: OnceStart['place'], onConnection: OnConnection): Promise<Listener> {
  if ('path' in place) return listenUnix(place, onConnection);
  return 'fd' in place ? listenFd(place.fd, onConnection) : listenTcp(place, onConnection);
}

/** The fields of the log's last line about a session; what is not known is left out. */
function summaryOf({ seconds, ...record }: Readonly<SessionRecord>): object {
  const known = Object.entries(record).filter(([, value]) => value !== null);
  return { ...Object.fromEntries(known), seconds: Math.round(seconds * 1000) / 1000 };
}

function printJson(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
