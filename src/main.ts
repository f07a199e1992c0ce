/** Process entry: arguments → configuration → listeners → exit code. */

import { homedir } from 'node:os';
import { checkText } from './cli/check.ts';
import { convertConfig } from './cli/convert.ts';
import { type Command, parseCommandLine } from './cli/options.ts';
import { serve } from './cli/serve.ts';
import { helpText, versionText } from './cli/usage.ts';
import type { LoadContext } from './config/config.ts';
import { readConfig } from './config/load.ts';
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
    case 'check':
      process.stdout.write(checkText(configOf(command)));
      return EXIT.OK;
    case 'serve':
      return serve(configOf(command), process.env);
  }
}

function configOf(command: Extract<Command, { flags: unknown }>) {
  return readConfig(command.flags, homedir(), loadContext());
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
