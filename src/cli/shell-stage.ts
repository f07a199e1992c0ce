/**
 * The first stage of the modes that sshd starts: the process locks itself in (sandbox/lock-in.ts) before it has read a byte of its
 * client, and before what serves a session is even loaded. main.ts calls it and then command-mode.ts or restrict.ts.
 */

import type { Config, LoadContext } from '../config/config.ts';
import { FileRecord, type FileRecordJson } from '../config/file-record.ts';
import { directoriesOf } from '../config/files.ts';
import { SandboxError } from '../errors.ts';
import { lockedIn, lockIn } from '../sandbox/lock-in.ts';
import type { Outcome } from '../sandbox/outcome.ts';
import { NAME_TABLES } from '../vfs/id-names.ts';
import { closeModuleRoot, openModuleRoot } from '../vfs/open-root.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Locks in a process that sends what its user may read: from here on it reads what lies below `directory`, and can neither write,
 * execute nor open a socket, as far as the kernel allows it.
 * @param words what the client wants, as bytes, which an execution of ours would not keep: called in the first stage only.
 * @returns these bytes, in the stage that goes on.
 * @throws SandboxError when it fails half-way.
 */
export async function lockInBelow(
  directory: string,
  words: () => readonly Buffer[],
  environment: Environment,
): Promise<Buffer[]> {
  silenceNode();
  const readable = [directory, ...NAME_TABLES];
  const stage =
    lockedIn<string[]>(environment) ??
    // FFI for -X and -A, which may come with the secluded arguments.
    (await lockIn({ readable, ffi: true, message: words().map((word) => word.toString('base64')) }, environment));
  return stage.message.map((word) => Buffer.from(word, 'base64'));
}

/** What the daemon behind a remote shell serves from. */
export interface ShellDaemonStart {
  readonly config: Config;
  /** What the sandbox of this start is worth. */
  readonly outcome: Outcome;
}

/**
 * Reads the configuration and locks the process in: it sees the modules and the files that the configuration names.
 * @param load reads the configuration.
 * @param strict refuses what is less than Landlock and seccomp.
 * @throws ConfigError, SandboxError.
 */
export async function prepareShellDaemon(
  load: (context: LoadContext) => Config,
  context: LoadContext,
  { environment, strict }: { readonly environment: Environment; readonly strict: boolean },
): Promise<ShellDaemonStart> {
  silenceNode();
  const stage = lockedIn<FileRecordJson>(environment);
  const record = new FileRecord(stage?.message ?? null);
  const config = load({ ...context, record });
  const outcome = stage?.outcome ?? (await lockInModules(config, record, environment));
  if (strict && (outcome.landlockAbi === 0 || !outcome.seccomp)) {
    throw new SandboxError(['--require-sandbox=strict: not locked in', ...outcome.gaps].join('\n  '));
  }
  return { config, outcome };
}

async function lockInModules({ modules, limits }: Config, record: FileRecord, environment: Environment) {
  // SECURITY: a root behind a stranger's link is refused as long as we see who owns the link (CVE-2026-53784).
  for (const { path } of modules) closeModuleRoot(openModuleRoot(Buffer.from(path), limits));
  const readable = [...modules.flatMap(({ path }) => directoriesOf(path)), ...record.files, ...NAME_TABLES];
  const ffi = modules.some(({ xattrs }) => xattrs);
  return (await lockIn({ readable, ffi, message: record.toJSON() }, environment)).outcome;
}

/** Standard error is the client's terminal, where Node's warnings about its own features only puzzle. */
function silenceNode(): void {
  process.removeAllListeners('warning');
}
