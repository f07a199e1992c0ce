/** Raw sections and command-line flags → checked, deeply frozen Config; load.ts and rsyncd-load.ts hand them in. */
import { dirname, resolve } from 'node:path';
import { ConfigError } from '../errors.ts';
import { DEFAULT_LIMITS, type Limits } from '../limits.ts';
import type { Config, ConfigFlags, LoadContext } from './config.ts';
import { checkDirectory, readMotd } from './files.ts';
import { loadListeners } from './listeners.ts';
import { loadModule, type ModuleSurroundings, refuseDuplicateNames } from './module.ts';
import { type Checked, GLOBAL_KEYS, LIMIT_KEYS } from './schema.ts';
import type { Source } from './source.ts';
import { checkSection, type Section } from './values.ts';

/** The raw sections of one configuration. */
export interface Sections {
  readonly global: Section;
  readonly limits: Section;
  readonly listeners: readonly Section[];
  readonly modules: readonly Section[];
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

function loadMotd(
  { source, baseDir, context }: ModuleSurroundings,
  file: string | null,
  limits: Limits,
): Buffer | null {
  if (file === null) return null;
  return source.locate('motd_file', () => readMotd(resolve(baseDir, file), limits.motdBytes, context.record));
}

/** What loading needs beside the sections. */
export interface LoadSettings {
  readonly flags: ConfigFlags;
  readonly context: LoadContext;
  /** Remarks of reading the file; they come first. */
  readonly warnings: readonly string[];
}

/**
 * Checks all sections, applies the flags and reads the files that they name.
 * @throws ConfigError naming file, line, key path, value and what is allowed.
 */
export function loadSections(source: Source, sections: Sections, settings: LoadSettings): Config {
  const { file } = source;
  const { flags, context } = settings;
  const global = checkSection(source, sections.global, GLOBAL_KEYS);
  const warnings = [...settings.warnings];
  const warn = (line: string) => void warnings.push(line);
  const limits = loadLimits(source, sections, global);
  warnOfWiderLimits(limits, warn);
  const at: ModuleSurroundings = {
    source,
    context,
    warn,
    limits,
    baseDir: file === null ? resolve(context.directory ?? '.') : dirname(resolve(file)),
    timeoutSec: global.timeout,
    logTransfers: global.log_transfers,
  };
  const { listeners, monitoring } = loadListeners({ source, baseDir: at.baseDir, context }, sections.listeners, flags);
  if (global.dont_namespace && listeners.some(({ kind }) => kind !== 'authorized_ssh')) {
    throw source.error('dont_namespace', 'is only allowed when every listener is an authorized_ssh one');
  }
  const moduleSections = mapModules(source, sections.modules, flags);
  const modules = moduleSections.map((section) => loadModule(at, section));
  refuseDuplicateNames(source, moduleSections, modules);
  if (modules.length === 0) {
    throw new ConfigError(`${file ?? 'command line'}: no module: add a [[module]] with name and path`);
  }
  return deepFreeze({
    file,
    listeners,
    monitoring,
    modules,
    motd: loadMotd(at, global.motd_file, limits),
    timeoutSec: at.timeoutSec,
    bytesPerSecond: global.bandwidth_limit,
    workers: global.workers,
    logLevel: global.log_level,
    logTransfers: at.logTransfers,
    logFormat: global.log_format,
    limits,
    dontNamespace: global.dont_namespace,
    warnings,
  });
}
