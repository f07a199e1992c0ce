/** Process entry: arguments → configuration → listeners → exit code. */

import { homedir } from 'node:os';
import { checkText } from './cli/check.ts';
import { type Command, parseCommandLine } from './cli/options.ts';
import { serve } from './cli/serve.ts';
import { helpText, versionText } from './cli/usage.ts';
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
    case 'check':
      process.stdout.write(checkText(configOf(command)));
      return EXIT.OK;
    case 'serve':
      return serve(configOf(command), process.env);
  }
}

function configOf(command: Extract<Command, { flags: unknown }>) {
  const credentialsDirectory = process.env.CREDENTIALS_DIRECTORY ?? null;
  return readConfig(command.flags, homedir(), { credentialsDirectory, uid: process.geteuid?.() ?? 0 });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (thrown) {
  if (!(thrown instanceof RsyncError)) throw thrown;
  process.stderr.write(`${thrown.message}\n`);
  process.exitCode = thrown.exit;
}
