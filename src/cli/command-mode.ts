/**
 * The modes that sshd starts in place of rsync: --server --sender and --server --daemon on standard input and output; main.ts calls
 * them, and cli/restrict.ts serves a forced command through the first. One session, then the process ends.
 *
 * By then the process is locked in (cli/shell-stage.ts) where the kernel has what that takes; it keeps the identity of its user.
 */

import { Limiter } from '../compress/limiter.ts';
import { Bug } from '../errors.ts';
import { DaemonFilter, type DaemonFilterRules } from '../filter/daemon.ts';
import type { ModuleListing } from '../flist/context.ts';
import type { Limits } from '../limits.ts';
import { Admission, AdmissionRefusal } from '../listener/admission.ts';
import { remoteShellPeer, StdioTransport } from '../listener/stdio-transport.ts';
import { createLogger } from '../observe/log.ts';
import { LogBudget } from '../observe/session-log.ts';
import { SessionRegistry } from '../observe/session-registry.ts';
import { TransferLog } from '../observe/transfer-log.ts';
import { assertReadOnly } from '../sandbox/verify.ts';
import { runOnlySession } from '../session/session.ts';
import { runShellSession, SHELL_LIMITS, type ShellRequest } from '../session/shell-session.ts';
import { readHostNames } from '../vfs/id-names.ts';
import { closeModuleRoot, openModuleRoot } from '../vfs/open-root.ts';
import { workingDirectory } from '../vfs/own-process.ts';
import { loadXattrCalls } from '../vfs/xattrs.ts';
import { loadHostTables, servedModules } from './served-modules.ts';
import { loadTools, toolsOnDemand } from './session-tools.ts';
import type { ShellDaemonStart } from './shell-stage.ts';

/** Time for the last log lines. */
const LOG_FLUSH_MS = 1000;

const NO_RULES: DaemonFilterRules = { filter: [], includeFrom: [], include: [], excludeFrom: [], exclude: [] };

/**
 * rsync's --server --sender: sends what the user may read, as C rsync does.
 * @param args the client's arguments.
 * @returns the exit code.
 * @throws ConfigError when standard input and output are not a remote shell's.
 */
export async function runCommandMode(args: readonly Buffer[]): Promise<number> {
  const paths = { kind: 'system', workingDirectory: workingDirectory() } as const;
  const reportBug = (thrown: unknown) => complain(thrown instanceof Error ? `${thrown.stack}` : String(thrown));
  return serveShell(Buffer.from('/'), { args, paths, reportBug });
}

/**
 * Serves one client of a remote shell.
 * @param root absolute path that the client's paths start at.
 * @throws SandboxError when it cannot be opened, ConfigError as runCommandMode.
 */
export async function serveShell(
  root: Buffer,
  client: Pick<ShellRequest, 'args' | 'paths' | 'reportBug'>,
): Promise<number> {
  const limits = SHELL_LIMITS;
  const rootFd = openModuleRoot(root, limits);
  try {
    const transport = new StdioTransport();
    return await runShellSession(transport, {
      ...client,
      rootFd,
      limits,
      listing: userListing(limits),
      compression: await loadTools(new Limiter(limits.compressionJobs)),
      loadXattrs: loadXattrCalls,
      complain,
    });
  } finally {
    closeModuleRoot(rootFd);
  }
}

/** Nothing is hidden or altered, and names are those of this system. */
function userListing(limits: Limits): ModuleListing {
  return {
    name: '',
    filter: new DaemonFilter(NO_RULES, limits),
    idNames: readHostNames(),
    ignoreNonreadable: false,
    mungeSymlinks: false,
    outgoingChmod: null,
  };
}

/**
 * rsync's --server --daemon: the daemon protocol with the user's modules, for one client.
 * @param connection SSH_CONNECTION, null without sshd.
 * @returns the exit code.
 * @throws SandboxError when this process could write to a module: who owns its files may serve them where Landlock holds.
 */
export async function runShellDaemon(
  { config, outcome }: ShellDaemonStart,
  connection: string | null,
): Promise<number> {
  const { limits, motd } = config;
  assertReadOnly(config.modules, { onlyProven: outcome.landlockAbi > 0 });
  const transport = new StdioTransport(remoteShellPeer(connection));
  const modules = servedModules(config, await loadHostTables(config));
  // Standard error is the client's terminal: what the log says of a session is not for it.
  const logger = createLogger({ level: 'error', isTerminal: true });
  const ticket = new Admission(limits).admit(transport.peer);
  if (ticket instanceof AdmissionRefusal) throw new Bug('no place for the only session');
  const tools = toolsOnDemand(new Limiter(limits.compressionJobs));
  const logBudget = new LogBudget(limits);
  const transferLog = new TransferLog(limits);
  const daemon = {
    modules,
    limits,
    motd,
    tools,
    logger,
    logBudget,
    registry: new SessionRegistry(),
    transferLog,
  };
  const exit = await runOnlySession(transport, daemon, ticket);
  await logger.flushed(LOG_FLUSH_MS);
  return exit;
}

function complain(text: string): void {
  process.stderr.write(`${text}\n`);
}
