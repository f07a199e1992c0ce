/** --modules-in DIRECTORY: every directory in it is a module named like it; main.ts adds them to the flags. */

import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ConfigError } from '../errors.ts';

/**
 * `NAME=PATH` for each directory in `directory`, sorted by name: what --gokr.modulemap takes. Links and names that begin
 * with a dot are not looked at.
 * @throws ConfigError when it cannot be read.
 */
export function modulesIn(directory: string): string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    const names = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name);
    return names.sort().map((name) => `${name}=${join(resolve(directory), name)}`);
  } catch (error) {
    throw new ConfigError(`--modules-in: cannot read ${directory}: ${(error as Error).message}`, { cause: error });
  }
}
