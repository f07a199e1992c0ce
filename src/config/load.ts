/** TOML text and command-line flags → checked, deeply frozen Config; cli/serve.ts and --check call it once at start. */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { ConfigError } from '../errors.ts';
import { DEFAULT_LIMITS, type Limits } from '../limits.ts';
import type { Config, ConfigFlags, ListenerConfig, LoadContext, LogTransfers } from './config.ts';
import { checkDirectory, decodeUtf8, MAX_FILE_BYTES, readMotd, readSmallFile } from './files.ts';
import { type ListenAddress, parseHost, parseListenAddress, parsePort, RSYNC_PORT } from './listen-address.ts';
import { loadModule, type ModuleSurroundings, refuseDuplicateNames } from './module.ts';
import { NOT_SUPPORTED_YET } from './not-yet.ts';
import { type Checked, GLOBAL_KEYS, LIMIT_KEYS, LISTENER_KEYS, LISTENER_KINDS, SECTIONS } from './schema.ts';
import { Source, showValue } from './source.ts';
import { checkSection, isTable, keyPath, refuseNotYet, refuseUnknownKeys, type Section } from './values.ts';

/** The file that the machine's administrator writes. */
export const SYSTEM_CONFIG_FILE = '/etc/gokr-rsyncd.toml';

/** The file of one user, below the home directory. */
export const USER_CONFIG_FILE = '.config/gokr-rsyncd.toml';

/** Deepest nesting of inline tables and arrays: a listener's inline table inside an array needs three. */
const MAX_TOML_DEPTH = 16;

/** The raw sections of one file. */
interface Sections {
  readonly global: Section;
  readonly limits: Section;
  readonly listeners: readonly Section[];
  readonly modules: readonly Section[];
}

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

/** [limits] over the defaults; the two older names at the top of the file set the same bounds. */
function loadLimits(source: Source, sections: Sections, global: Checked<typeof GLOBAL_KEYS>): Limits {
  const checked = checkSection(source, sections.limits, LIMIT_KEYS) as unknown as Limits;
  const limits = { ...checked };
  const aliases = { max_connections: 'connections', max_connections_per_address: 'connectionsPerAddress' } as const;
  for (const [key, limit] of Object.entries(aliases) as [keyof typeof aliases, keyof Limits][]) {
    if (!Object.hasOwn(sections.global.raw, key)) {
      continue;
    }
    if (Object.hasOwn(sections.limits.raw, limit) && checked[limit] !== global[key]) {
      throw source.error(`limits.${limit}`, `${checked[limit]} contradicts ${key} = ${global[key]}: set only one`);
    }
    limits[limit] = global[key];
  }
  return limits;
}

/** Reports every bound that is wider than ours (security.md B: upward with a warning). */
function warnOfWiderLimits(limits: Limits, warn: (text: string) => void): void {
  for (const [name, value] of Object.entries(limits) as [keyof Limits, number][]) {
    const standard = DEFAULT_LIMITS[name];
    if (value > standard || (name === 'sessionMs' && value === 0)) {
      warn(`limits.${name} is weaker than its default: ${value} instead of ${standard}`);
    }
  }
}

function loadListener(source: Source, section: Section): ListenAddress {
  const values = checkSection(source, section, LISTENER_KEYS);
  const kinds = LISTENER_KINDS.filter((kind) => values[kind] !== null);
  if (kinds.length !== 1) {
    const found = kinds.length === 0 ? 'has none' : `has ${kinds.join(' and ')}`;
    throw source.error(section.path, `${found}: expected exactly one of ${LISTENER_KINDS.join(', ')}`);
  }
  refuseNotYet({ source, section }, LISTENER_KEYS, values, NOT_SUPPORTED_YET.listener);
  return parseListenAddress(values.rsyncd!);
}

const sameAddress = (a: ListenAddress, b: ListenAddress) => a.host === b.host && a.port === b.port;

/** The file's addresses with --gokr.listen in their place, or with --port and --address put into each of them. */
function applyAddressFlags(source: Source, configured: readonly ListenAddress[], flags: ConfigFlags): ListenAddress[] {
  const { listen, port, address } = flags;
  if (listen !== null && (port !== null || address !== null)) {
    throw new ConfigError('--gokr.listen: cannot stand beside --port or --address');
  }
  if (listen !== null) {
    return [source.locate('--gokr.listen', () => parseListenAddress(listen))];
  }
  if (port === null && address === null) {
    return [...configured];
  }
  // SECURITY: --port alone keeps the configured host: a loopback listener must not open to the world.
  const host = address === null ? null : source.locate('--address', () => parseHost(address));
  const number = port === null ? null : source.locate('--port', () => parsePort(port));
  const base = configured.length > 0 ? configured : [{ host: parseHost(''), port: RSYNC_PORT }];
  const changed = base.map((old) => ({ host: host ?? old.host, port: number ?? old.port }));
  return changed.filter((one, index) => changed.findIndex((other) => sameAddress(one, other)) === index);
}

function loadListeners(source: Source, sections: readonly Section[], flags: ConfigFlags): ListenerConfig[] {
  const configured = sections.map((section) => loadListener(source, section));
  configured.forEach((address, index) => {
    if (address.port !== 0 && configured.findIndex((other) => sameAddress(address, other)) !== index) {
      throw source.error(keyPath(sections[index]!, 'rsyncd'), 'is the address of an earlier listener');
    }
  });
  return applyAddressFlags(source, configured, flags).map((address) => ({ kind: 'rsyncd', address }));
}

/** The file's modules with those of --gokr.modulemap: a known name moves that module, a new one is added. */
function mapModules(source: Source, sections: readonly Section[], flags: ConfigFlags): Section[] {
  const mapped = [...sections];
  for (const entry of flags.modules) {
    const equals = entry.indexOf('=');
    if (equals < 1) {
      throw new ConfigError(`--gokr.modulemap: "${entry}" is not allowed: expected NAME=PATH`);
    }
    const [name, path] = [entry.slice(0, equals), entry.slice(equals + 1)];
    source.locate('--gokr.modulemap', () => checkDirectory(path));
    const index = mapped.findIndex((section) => section.raw.name === name);
    if (index < 0) {
      mapped.push({ path: '--gokr.modulemap', raw: { name, path } });
    } else {
      mapped[index] = { path: mapped[index]!.path, raw: { ...mapped[index]!.raw, path } };
    }
  }
  return mapped;
}

/** Freezes plain objects and arrays all the way down. Buffers keep their bytes writable: JavaScript cannot freeze those. */
function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) {
      deepFreeze(part);
    }
  }
  return value;
}

function loadMotd(source: Source, baseDir: string, file: string | null, limits: Limits): Buffer | null {
  return file === null ? null : source.locate('motd_file', () => readMotd(resolve(baseDir, file), limits.motdBytes));
}

/**
 * Checks a configuration text, applies the flags and reads the files that it names.
 * @param file name for messages, and the start of relative file names; null when flags alone configure the daemon.
 * @throws ConfigError naming file, line, key path, value and what is allowed.
 */
export function loadConfig(text: string, file: string | null, flags: ConfigFlags, context: LoadContext): Config {
  const source = new Source(file, text);
  const sections = splitSections(source, parseToml(source, text));
  const global = checkSection(source, sections.global, GLOBAL_KEYS);
  refuseNotYet({ source, section: sections.global }, GLOBAL_KEYS, global, NOT_SUPPORTED_YET.global);
  const warnings: string[] = [];
  const warn = (line: string) => void warnings.push(line);
  const limits = loadLimits(source, sections, global);
  warnOfWiderLimits(limits, warn);
  const at: ModuleSurroundings = {
    source,
    context,
    warn,
    baseDir: dirname(resolve(file ?? '.')),
    timeoutSec: global.timeout,
    logTransfers: global.log_transfers as LogTransfers,
  };
  const listeners = loadListeners(source, sections.listeners, flags);
  const moduleSections = mapModules(source, sections.modules, flags);
  const modules = moduleSections.map((section) => loadModule(at, section));
  refuseDuplicateNames(source, moduleSections, modules);
  if (modules.length === 0) {
    throw new ConfigError(`${file ?? 'command line'}: no module: add a [[module]] with name and path`);
  }
  return deepFreeze({
    file,
    listeners,
    modules,
    motd: loadMotd(source, at.baseDir, global.motd_file, limits),
    timeoutSec: at.timeoutSec,
    logLevel: global.log_level,
    logTransfers: at.logTransfers,
    limits,
    warnings,
  });
}

/** Where a configuration is looked for when --config is not given, in order. */
export function usualConfigFiles(home: string | null): string[] {
  return [SYSTEM_CONFIG_FILE, ...(home === null ? [] : [join(home, USER_CONFIG_FILE)])];
}

/**
 * Finds, reads and checks the configuration: --config, else the first of the usual places that exists, else flags alone.
 * @param home the user's home directory, or null.
 * @throws ConfigError also when there is neither a file nor --gokr.modulemap.
 */
export function readConfig(flags: ConfigFlags, home: string | null, context: LoadContext): Config {
  const places = usualConfigFiles(home);
  const file = flags.file ?? places.find((place) => existsSync(place)) ?? null;
  if (file === null && flags.modules.length === 0) {
    throw new ConfigError(`no configuration: looked for ${places.join(' and ')}; name one with --config FILE`);
  }
  if (file === null) {
    return loadConfig('', null, flags, context);
  }
  if (file.endsWith('.conf')) {
    throw new ConfigError(`"${file}": rsyncd.conf files are not supported by this build yet; expected a TOML file`);
  }
  return loadConfig(
    decodeUtf8(file, readSmallFile(file, { maxBytes: MAX_FILE_BYTES, followLink: true })),
    file,
    flags,
    context,
  );
}
