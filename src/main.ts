/** Process entry: arguments → configuration → listeners → exit code. */

import { homedir } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { type Command, parseCommandLine } from './cli/options.ts';
import { prepareStart, type Start } from './cli/stages.ts';
import type { ConfigFlags, LoadContext } from './config/config.ts';
import { FileRecord } from './config/file-record.ts';
import { readConfig, usualConfigFiles } from './config/load.ts';
import { modulesIn } from './config/module-directory.ts';
import { EXIT, RsyncError } from './errors.ts';
import { WORKER_ARGUMENT } from './shared.ts';
import { argumentBytes, variableBytes } from './vfs/own-process.ts';

/** Loads what the command needs, and no other command's. */
async function main(argv: readonly string[]): Promise<number> {
  const command: Command = parseCommandLine(argv);
  switch (command.kind) {
    case 'help': {
      const { helpText } = await import('./cli/usage.ts');
      process.stdout.write(helpText());
      return EXIT.OK;
    }
    case 'version': {
      const { versionText } = await import('./cli/usage.ts');
      process.stdout.write(versionText());
      return EXIT.OK;
    }
    case 'convert': {
      const { convertConfig } = await import('./cli/convert.ts');
      const { toml, verdicts, exit } = convertConfig(command.file, loadContext());
      process.stderr.write(verdicts);
      process.stdout.write(toml);
      return exit;
    }
    case 'keygen': {
      const { makeHostKey } = await import('./cli/keygen.ts');
      process.stdout.write(makeHostKey(command.file));
      return EXIT.OK;
    }
    case 'check': {
      const { check } = await import('./cli/check.ts');
      return check(await startOf(command));
    }
    case 'print-dropin': {
      const { dropinFor } = await import('./cli/dropin.ts');
      const context = { ...loadContext(), record: new FileRecord() };
      process.stdout.write(dropinFor(configOf(command, context), context));
      return EXIT.OK;
    }
    case 'healthcheck': {
      const { checkHealth } = await import('./cli/healthcheck.ts');
      const { text, exit } = await checkHealth(configOf(command));
      process.stdout.write(text);
      return exit;
    }
    case 'shell': {
      const { lockInBelow } = await import('./cli/shell-stage.ts');
      // What the client wants is known when it has sent its arguments, and its links may lead anywhere.
      const args = await lockInBelow('/', () => argumentBytes(process.argv.slice(2)), process.env);
      const { runCommandMode } = await import('./cli/command-mode.ts');
      return runCommandMode(args);
    }
    case 'restrict': {
      const { lockInBelow } = await import('./cli/shell-stage.ts');
      const [original] = await lockInBelow(command.directory, originalCommand, process.env);
      const { runRestricted } = await import('./cli/restrict.ts');
      return runRestricted(command.directory, original ?? null);
    }
    case 'once': {
      const { runOnce } = await import('./cli/once.ts');
      return runOnce(command, loadContext(), process.env);
    }
    case 'shell-daemon': {
      const { prepareShellDaemon } = await import('./cli/shell-stage.ts');
      const load = (context: LoadContext) => configOf(command, context, userFirst);
      const start = await prepareShellDaemon(load, loadContext(), {
        environment: process.env,
        strict: command.strictSandbox,
      });
      const { runShellDaemon } = await import('./cli/command-mode.ts');
      return runShellDaemon(start, process.env.SSH_CONNECTION ?? null);
    }
    case 'serve': {
      const start = await startOf(command);
      // What serves is loaded by the stage that serves.
      const { serve } = await import('./cli/serve.ts');
      return serve(start, new URL(import.meta.url));
    }
  }
}

/** Nothing when the client of a forced command asked for a shell. */
function originalCommand(): Buffer[] {
  const name = 'SSH_ORIGINAL_COMMAND';
  const text = process.env[name];
  return text === undefined ? [] : [variableBytes(name, text)];
}

type ConfiguredCommand = Extract<Command, { modulesIn: unknown }>;

function startOf(command: ConfiguredCommand): Promise<Start> {
  return prepareStart({
    flags: () => flagsOf(command),
    serves: command.kind === 'serve',
    strict: command.strictSandbox,
    environment: process.env,
    context: loadContext(),
    load: (context) => configOf(command, context),
  });
}

function configOf(command: ConfiguredCommand, context = loadContext(), places = usualConfigFiles) {
  const home = homeDirectory();
  return readConfig(flagsOf(command), home, context, places(home));
}

function flagsOf({ flags, modulesIn: directory }: ConfiguredCommand): ConfigFlags {
  return directory === null ? flags : { ...flags, modules: [...modulesIn(directory), ...flags.modules] };
}

/** Behind a remote shell the user's own file comes before the machine's, which is the system daemon's. */
function userFirst(home: string | null): string[] {
  return usualConfigFiles(home).toReversed();
}

/** Null for a user without one: numeric ids in a container, DynamicUser= in a root without a user table. */
function homeDirectory(): string | null {
  try {
    return homedir();
  } catch {
    return null;
  }
}

function loadContext(): LoadContext {
  return {
    credentialsDirectory: process.env.CREDENTIALS_DIRECTORY ?? null,
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
  };
}

async function runMain(): Promise<void> {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (thrown) {
    if (!(thrown instanceof RsyncError)) throw thrown;
    process.stderr.write(`${thrown.message}\n`);
    process.exitCode = thrown.exit;
  }
}

/** cli/worker-threads.ts starts this file once more for each worker. */
async function runThread(): Promise<void> {
  const { runWorker } = await import('./cli/worker.ts');
  return runWorker();
}

// No await: what the bundle is made of has none at its top. A rejection ends the process all the same.
// What threads are made of is not loaded by a process that has none.
void (process.argv[2] === WORKER_ARGUMENT && !isMainThread ? runThread() : runMain());
