/** The drop-in of --print-dropin: what of the host the systemd unit, which sees nothing but its minimal root, may read. */

import type { Config, ModuleConfig } from '../config/config.ts';
import { directoriesOf } from '../config/files.ts';
import { ConfigError } from '../errors.ts';
import { escapeControls } from '../observe/escape.ts';
import { NAME_TABLES } from '../vfs/id-names.ts';

/** Our own files in the minimal root, and what systemd mounts there: a module over one of them would take it away. */
const OWN_PATHS = ['/bin', '/dev', '/lib', '/lib64', '/proc', '/run', '/sys', '/usr/lib/gokr-rsyncd'];

/** What ProtectHome= is about. */
const HOMES = ['/home/', '/root/', '/run/user/'];

/** Else systemd makes modules below these directories inaccessible. Its empty substitutes must not be writable. */
const HOME_LINES = ['ProtectHome=tmpfs', 'ReadOnlyPaths=-+/home -+/root -+/run/user'];

/** Where the drop-in belongs. */
const PLACE = '/etc/systemd/system/gokr-rsyncd.service.d/modules.conf';

/**
 * The text of the drop-in: one read-only bind per module path, sub-mounts included; ends with a line feed.
 * @throws ConfigError for a module that would hide the daemon's own files, or whose path no unit file can hold.
 */
export function dropinText(config: Config): string {
  const paths = new Set(config.modules.flatMap(boundPaths));
  if (config.modules.some((module) => !module.numericIds)) for (const table of NAME_TABLES) paths.add(table);
  return [
    `# What gokr-rsyncd may read. Written by: gokr-rsyncd --print-dropin > ${PLACE}`,
    `# Configuration: ${escapeControls(config.file ?? 'command line')}. After each change of its modules: write this file again,`,
    '# systemctl daemon-reload, systemctl restart gokr-rsyncd.service.',
    '[Service]',
    ...[...paths].map(escapePath).flatMap((path) => [`BindReadOnlyPaths=${path}`, `NoExecPaths=+${path}`]),
    ...(needsHome(paths) ? HOME_LINES : []),
    '',
  ].join('\n');
}

function needsHome(paths: ReadonlySet<string>): boolean {
  return [...paths].some((path) => HOMES.some((home) => `${path}/`.startsWith(home)));
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
  // SECURITY: a line feed in a path would become a line of the unit file, and so any setting that the path's owner likes.
  if (/\p{Cc}/u.test(path)) {
    throw new ConfigError(`${escapeControls(path)}: a path with control characters cannot be written into a unit file`);
  }
  return path.replaceAll('%', '%%').replace(/[\\:"' ;#]/g, '\\$&');
}
