/** Runs an rsync client of the set-up; every test that pulls from a daemon uses it. */

import { type RsyncClient, systemClient } from '../setup/clients.ts';
import { type RunOptions, type RunResult, run } from './run.ts';

/** Runs `client` (the system's rsync when absent) with `args`; output stays bytes because names are bytes. */
export async function rsync(
  args: readonly string[],
  options: RunOptions = {},
  client: RsyncClient = systemClient(),
): Promise<RunResult> {
  const [command, ...prefix] = client.command;
  return run(command, [...prefix, ...args], options);
}

/** The URL of a path in a module. The path may hold any byte but NUL; it is not percent-encoded, as rsync wants it. */
export function moduleUrl(port: number, module: string, path = ''): string {
  return `rsync://127.0.0.1:${port}/${module}/${path}`;
}
