/** A temporary directory and short forms of loadConfig for the tests of config/ and cli/. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config, ConfigFlags } from '../../../src/config/config.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { ConfigError } from '../../../src/errors.ts';

export const NO_FLAGS: ConfigFlags = {
  file: null,
  listen: null,
  anonSshListen: null,
  monitoringListen: null,
  port: null,
  address: null,
  modules: [],
};

export const UID = process.getuid?.() ?? 0;

/** A directory with a directory `pub` in it; `remove` takes it away. */
export function makeDirectory() {
  const dir = mkdtempSync(join(tmpdir(), 'gokr-config-'));
  mkdirSync(join(dir, 'pub'));
  return {
    dir,
    pub: join(dir, 'pub'),
    /** Writes a file with exactly this mode and returns its path. */
    file(name: string, content: string | Buffer, mode = 0o600): string {
      writeFileSync(join(dir, name), content);
      chmodSync(join(dir, name), mode);
      return join(dir, name);
    },
    remove: () => rmSync(dir, { recursive: true }),
  };
}

/** Loads a text as if it stood in `dir`/test.toml. */
export function load(text: string, dir = '/usr', flags: Partial<ConfigFlags> = {}, uid = UID): Config {
  return loadConfig(text, `${dir}/test.toml`, { ...NO_FLAGS, ...flags }, { credentialsDirectory: null, uid });
}

/** The message with which a call is refused as ConfigError; any other outcome fails the test. */
export function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof ConfigError) {
      return error.message;
    }
    throw error;
  }
  throw new Error('was not refused');
}

/** A module `m` on /usr with further lines. */
export const moduleText = (lines = '', path = '/usr') => `[[module]]\nname = "m"\npath = "${path}"\n${lines}\n`;
