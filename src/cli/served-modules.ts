/** Configuration → modules as sessions see them. */

import type { Config, ModuleConfig } from '../config/config.ts';
import { DaemonFilter } from '../filter/daemon.ts';
import type { IdNames } from '../flist/ids.ts';
import type { Limits } from '../limits.ts';
import type { ServedModule } from '../session/served-module.ts';
import { readIdNames } from '../vfs/id-names.ts';

const NO_NAMES: IdNames = { users: new Map(), groups: new Map() };

/** Compiles each module's rules and reads the host's id names once. @throws ConfigError for a rule that does not parse. */
export function servedModules(config: Config): ServedModule[] {
  const idNames: IdNames = { users: readIdNames('/etc/passwd'), groups: readIdNames('/etc/group') };
  return config.modules.map((module) => servedModule(module, module.numericIds ? NO_NAMES : idNames, config.limits));
}

function servedModule(module: ModuleConfig, idNames: IdNames, limits: Limits): ServedModule {
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
    dontCompress: module.dontCompress,
    listing: {
      name: module.name,
      filter: new DaemonFilter(module.rules, limits),
      idNames,
      ignoreNonreadable: module.ignoreNonreadable,
      mungeSymlinks: module.mungeSymlinks,
      outgoingChmod: module.outgoingChmod?.apply ?? null,
    },
  };
}
