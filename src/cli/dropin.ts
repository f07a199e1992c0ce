/** The drop-in of --print-dropin: what of the host the systemd unit, which sees nothing but its minimal root, may read. */

import { basename } from 'node:path';
import type { Config, LoadContext, ModuleConfig } from '../config/config.ts';
import type { FileRecord } from '../config/file-record.ts';
import { directoriesOf } from '../config/files.ts';
import { ConfigError } from '../errors.ts';
import { escapeControls } from '../observe/escape.ts';
import { NAME_TABLES } from '../vfs/id-names.ts';
import { readListenerKeys } from './listener-keys.ts';

/** Our own files in the minimal root, and what systemd mounts there: a module over one of them would take it away. */
const OWN_PATHS = ['/bin', '/dev', '/lib', '/lib64', '/proc', '/run', '/sys', '/usr/lib/gokr-rsyncd'];

/** What ProtectHome= is about. */
const HOMES = ['/home/', '/root/', '/run/user/'];

/** Else systemd makes modules below these directories inaccessible. Its empty substitutes must not be writable. */
const HOME_LINES = ['ProtectHome=tmpfs', 'ReadOnlyPaths=-+/home -+/root -+/run/user'];

/** What the unit binds by itself. */
const OWN_FILES = '/etc/gokr-rsyncd/';

/** Where the drop-in belongs. */
const PLACE = '/etc/systemd/system/gokr-rsyncd.service.d/modules.conf';

/**
 * The text of the drop-in for a configuration that was read with this context; the files of its listeners are read as well.
 * @throws ConfigError as dropinText.
 */
export function dropinFor(config: Config, context: LoadContext & { readonly record: FileRecord }): string {
  // They are read for the record alone.
  for (const listener of config.listeners) readListenerKeys(listener, context);
  return dropinText(config, context.record);
}

/**
 * The text of the drop-in: one read-only bind per module path, sub-mounts included, and the files that the configuration names,
 * as credentials where not everybody may read them; ends with a line feed.
 * @param record which files were read for `config`.
 * @throws ConfigError for a module that would hide the daemon's own files, or whose path no unit file can hold.
 */
export function dropinText(config: Config, record: FileRecord): string {
  const paths = new Set(config.modules.flatMap(boundPaths));
  if (config.modules.some((module) => !module.numericIds)) for (const table of NAME_TABLES) paths.add(table);
  return [
    `# What gokr-rsyncd may read. Written by: gokr-rsyncd --print-dropin > ${PLACE}`,
    `# Configuration: ${escapeControls(config.file ?? 'command line')}. After each change of its modules: write this file again,`,
    '# systemctl daemon-reload, systemctl restart gokr-rsyncd.service.',
    '[Service]',
    ...[...paths].map(escapePath).flatMap((path) => [`BindReadOnlyPaths=${path}`, `NoExecPaths=+${path}`]),
    ...fileLines(config, record, paths),
    ...(needsHome(paths) ? HOME_LINES : []),
    '',
  ].join('\n');
}

function needsHome(paths: ReadonlySet<string>): boolean {
  return [...paths].some((path) => HOMES.some((home) => `${path}/`.startsWith(home)));
}

/** Of the files that the configuration names, those that the unit would not see, or not be able to read. */
function fileLines(config: Config, record: FileRecord, bound: ReadonlySet<string>): string[] {
  const named = record.files.filter((path) => path !== config.file && !bound.has(path));
  const isPublic = (path: string): boolean => (record.ownerOf(path)!.mode & 0o004) !== 0;
  const binds = named.filter((path) => isPublic(path) && !path.startsWith(OWN_FILES));
  return [
    ...binds.map((path) => `BindReadOnlyPaths=${escapePath(path)}`),
    ...credentialLines(named.filter((path) => !isPublic(path))),
  ];
}

/** The daemon looks for a credential by the base name of a file (config/secrets.ts). */
function credentialLines(paths: readonly string[]): string[] {
  return paths.map((path) => {
    const name = basename(path);
    if (!/^[\w.-]+$/.test(name)) {
      throw new ConfigError(`${escapeControls(path)}: no credential can have this name: letters, digits and ._- only`);
    }
    const other = paths.find((one) => one !== path && basename(one) === name);
    if (other !== undefined) {
      throw new ConfigError(
        `${escapeControls(path)}, ${escapeControls(other)}: two credentials of one name; rename a file`,
      );
    }
    refuseControls(path);
    return `LoadCredential=${name}:${path.replaceAll('%', '%%')}`;
  });
}

/** A path that ends in a link needs more: a bind follows it once, and published snapshots move it. */
function boundPaths(module: ModuleConfig): string[] {
  const paths = directoriesOf(module.path);
  for (const path of paths) refuseOwnPaths(module.name, path);
  return paths;
}

function refuseOwnPaths(name: string, path: string): void {
  const hidden = OWN_PATHS.find((own) => path === '/' || own === path || own.startsWith(`${path}/`));
  if (hidden === undefined) return;
  throw new ConfigError(
    `module ${JSON.stringify(name)}: ${path} cannot be bound over ${hidden} of the daemon's own root; bind it elsewhere by hand, as BindReadOnlyPaths=${path}:/modules/${name}, and say path = "/modules/${name}"`,
  );
}

/** systemd.unit(5): `%` is a specifier, `:` separates, quotes and blanks split words; a backslash takes that away. */
function escapePath(path: string): string {
  refuseControls(path);
  return path.replaceAll('%', '%%').replace(/[\\:"' ;#]/g, '\\$&');
}

// SECURITY: a line feed in a path would become a line of the unit file, and so any setting that the path's owner likes.
function refuseControls(path: string): void {
  if (!/\p{Cc}/u.test(path)) return;
  throw new ConfigError(`${escapeControls(path)}: a path with control characters cannot be written into a unit file`);
}
