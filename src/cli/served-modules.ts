/** Configuration → modules as sessions see them. */

import type { Config, ModuleConfig } from '../config/config.ts';
import { DaemonFilter } from '../filter/daemon.ts';
import type { IdNames } from '../flist/ids.ts';
import type { Limits } from '../limits.ts';
import type { ServedModule } from '../session/served-module.ts';
import { readIdNames } from '../vfs/id-names.ts';
import { loadXattrCalls, type XattrCalls } from '../vfs/xattrs.ts';

const NO_NAMES: IdNames = { users: new Map(), groups: new Map() };

/** What all modules share of the host. */
export interface HostTables {
  readonly idNames: IdNames;
  /** Null when no module serves extended attributes. */
  readonly xattrs: XattrCalls | null;
}

/**
 * Reads the host's id names and, when a module wants them, binds the system calls that Node lacks.
 * @throws ConfigError when a module says `xattrs = true` and they cannot be bound.
 */
export async function loadHostTables(config: Config): Promise<HostTables> {
  return {
    idNames: { users: readIdNames('/etc/passwd'), groups: readIdNames('/etc/group') },
    // Least privilege: without such a module, FFI is never even loaded.
    xattrs: config.modules.some((module) => module.xattrs) ? await loadXattrCalls() : null,
  };
}

/** Compiles each module's rules. @throws ConfigError for a rule that does not parse. */
export function servedModules(config: Config, tables: HostTables): ServedModule[] {
  return config.modules.map((module) => servedModule(module, tables, config.limits));
}

function servedModule(module: ModuleConfig, { idNames, xattrs }: HostTables, limits: Limits): ServedModule {
  return {
    name: module.name,
    comment: module.comment,
    isListed: module.list,
    path: Buffer.from(module.path),
    allows: (address) => module.access.allows(address),
    authentication: module.auth,
    maxConnections: module.maxConnections,
    timeoutSec: module.timeoutSec,
    refusePatterns: module.refuseOptions,
    openNoatime: module.openNoatime,
    xattrs: module.xattrs ? xattrs : null,
    dontCompress: module.dontCompress,
    listing: {
      name: module.name,
      filter: new DaemonFilter(module.rules, limits),
      idNames: module.numericIds ? NO_NAMES : idNames,
      ignoreNonreadable: module.ignoreNonreadable,
      mungeSymlinks: module.mungeSymlinks,
      outgoingChmod: module.outgoingChmod?.apply ?? null,
    },
  };
}
