/** Finds and reads the configuration, TOML or rsyncd.conf, and hands its sections to sections.ts; main.ts calls it once at start. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { ConfigError } from '../errors.ts';
import type { Config, ConfigFlags, LoadContext } from './config.ts';
import { decodeUtf8, MAX_FILE_BYTES, readSmallFile } from './files.ts';
import { loadRsyncdConf, openRsyncdConf } from './rsyncd-load.ts';
import { GLOBAL_KEYS, SECTIONS } from './schema.ts';
import { loadSections, type Sections } from './sections.ts';
import { Source, showValue } from './source.ts';
import { isTable, refuseUnknownKeys, type Section } from './values.ts';

/** The file that the machine's administrator writes. */
export const SYSTEM_CONFIG_FILE = '/etc/gokr-rsyncd.toml';

/** The file of one user, below the home directory. */
export const USER_CONFIG_FILE = '.config/gokr-rsyncd.toml';

/** Deepest nesting of inline tables and arrays: a listener's inline table inside an array needs three. */
const MAX_TOML_DEPTH = 16;

function parseToml(source: Source, text: string): Record<string, unknown> {
  try {
    return parse(text, { integersAsBigInt: true, maxDepth: MAX_TOML_DEPTH });
  } catch (error) {
    if (error instanceof TomlError) {
      const reason = error.message.split('\n', 1)[0]!.replace(/^Invalid TOML document: /, '');
      throw source.errorAtLine(error.line, `column ${error.column}: ${reason}`, error);
    }
    throw error;
  }
}

/** The tables of an array of tables. */
function tablesOf(source: Source, key: string, value: unknown): Section[] {
  if (value === undefined) {
    return [];
  }
  if (!Array.isArray(value) || !value.every(isTable)) {
    throw source.error(key, `${showValue(value)} is not allowed: expected [[${key}]] tables`);
  }
  return value.map((raw, index) => ({ path: `${key}[${index}]`, raw }));
}

function splitSections(source: Source, raw: Record<string, unknown>): Sections {
  const known = [...Object.keys(GLOBAL_KEYS), ...Object.keys(SECTIONS)];
  refuseUnknownKeys(source, { path: '', raw }, known);
  const { limits = {}, listener, module, ...global } = raw;
  if (!isTable(limits)) {
    throw source.error('limits', `${showValue(limits)} is not allowed: expected a [limits] table`);
  }
  return {
    global: { path: '', raw: global },
    limits: { path: 'limits', raw: limits },
    listeners: tablesOf(source, 'listener', listener),
    modules: tablesOf(source, 'module', module),
  };
}

/**
 * Checks a configuration text, applies the flags and reads the files that it names.
 * @param file name for messages, and the start of relative file names; null when flags alone configure the daemon.
 * @throws ConfigError naming file, line, key path, value and what is allowed.
 */
export function loadConfig(text: string, file: string | null, flags: ConfigFlags, context: LoadContext): Config {
  const source = new Source(file, text);
  return loadSections(source, splitSections(source, parseToml(source, text)), { flags, context, warnings: [] });
}

/** Where a configuration is looked for when --config is not given, in order. */
export function usualConfigFiles(home: string | null): string[] {
  return [SYSTEM_CONFIG_FILE, ...(home === null ? [] : [join(home, USER_CONFIG_FILE)])];
}

/**
 * Finds, reads and checks the configuration: --config, else the first of the usual places that exists, else flags alone.
 * @param home the user's home directory, or null.
 * @param places files to look for, in order.
 * @throws ConfigError also when there is neither a file nor --gokr.modulemap.
 */
export function readConfig(
  flags: ConfigFlags,
  home: string | null,
  context: LoadContext,
  places: readonly string[] = usualConfigFiles(home),
): Config {
  const file = flags.file ?? places.find((place) => existsSync(place)) ?? null;
  if (file === null && flags.modules.length === 0) {
    throw new ConfigError(`no configuration: looked for ${places.join(' and ')}; name one with --config FILE`);
  }
  if (file === null) {
    return loadConfig('', null, flags, context);
  }
  if (file.endsWith('.conf')) {
    return loadRsyncdConf(openRsyncdConf(file, context), flags, context);
  }
  return loadConfig(
    decodeUtf8(file, readSmallFile(file, { maxBytes: MAX_FILE_BYTES, followLink: true, record: context.record })),
    file,
    flags,
    context,
  );
}
