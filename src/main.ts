/** Process entry: arguments → configuration → listeners → exit code. */

import { homedir } from 'node:os';
import { checkText } from './cli/check.ts';
import { runCommandMode, runShellDaemon } from './cli/command-mode.ts';
import { convertConfig } from './cli/convert.ts';
import { dropinText } from './cli/dropin.ts';
import { checkHealth } from './cli/healthcheck.ts';
import { makeHostKey } from './cli/keygen.ts';
import { runOnce } from './cli/once.ts';
import { type Command, parseCommandLine } from './cli/options.ts';
import { runRestricted } from './cli/restrict.ts';
import { serve } from './cli/serve.ts';
import { helpText, versionText } from './cli/usage.ts';
import type { LoadContext } from './config/config.ts';
import { readConfig, usualConfigFiles } from './config/load.ts';
import { modulesIn } from './config/module-directory.ts';
import { EXIT, RsyncError } from './errors.ts';

async function main(argv: readonly string[]): Promise<number> {
  const command: Command = parseCommandLine(argv);
  switch (command.kind) {
    case 'help':
      process.stdout.write(helpText());
      return EXIT.OK;
    case 'version':
      process.stdout.write(versionText());
      return EXIT.OK;
    case 'convert': {
      const { toml, verdicts, exit } = convertConfig(command.file, loadContext());
      process.stderr.write(verdicts);
      process.stdout.write(toml);
      return exit;
    }
    case 'keygen':
      process.stdout.write(makeHostKey(command.file));
      return EXIT.OK;
    case 'check':
      process.stdout.write(checkText(configOf(command), loadContext()));
      return EXIT.OK;
    case 'print-dropin':
      process.stdout.write(dropinText(configOf(command)));
      return EXIT.OK;
    case 'healthcheck': {
      const { text, exit } = await checkHealth(configOf(command));
      process.stdout.write(text);
      return exit;
    }
    case 'shell':
      return runCommandMode(process.argv.slice(2));
    case 'restrict':
      return runRestricted(command.directory, process.env.SSH_ORIGINAL_COMMAND ?? null);
    case 'once':
      return runOnce(command, loadContext());
    case 'shell-daemon':
      return runShellDaemon(configOf(command, userFirst), process.env.SSH_CONNECTION ?? null);
    case 'serve':
      return serve(configOf(command), process.env, loadContext());
  }
}

function configOf(
  { flags, modulesIn: directory }: Extract<Command, { modulesIn: unknown }>,
  places = usualConfigFiles,
) {
  const modules = directory === null ? flags.modules : [...modulesIn(directory), ...flags.modules];
  const home = homeDirectory();
  return readConfig({ ...flags, modules }, home, loadContext(), places(home));
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

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (thrown) {
  if (!(thrown instanceof RsyncError)) throw thrown;
  process.stderr.write(`${thrown.message}\n`);
  process.exitCode = thrown.exit;
}
