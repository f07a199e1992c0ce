/** Configuration → modules as sessions see them. */

import type { Config, ModuleConfig } from '../config/config.ts';
import { DaemonFilter } from '../filter/daemon.ts';
import type { IdNames } from '../flist/ids.ts';
import type { Limits } from '../limits.ts';
import type { ServedModule } from '../session/served-module.ts';
import { monotonicMs } from '../shared.ts';
import { readHostNames } from '../vfs/id-names.ts';
import { linklessRoots } from '../vfs/linkless-roots.ts';
import { loadXattrCalls, type XattrCalls } from '../vfs/xattrs.ts';
import { RateLimit } from '../wire/rate-limit.ts';

const NO_NAMES: IdNames = { users: new Map(), groups: new Map() };

/** What all modules share of the host. */
export interface HostTables {
  readonly idNames: IdNames;
  /** Null when no module serves extended attributes. */
  readonly xattrs: XattrCalls | null;
  /** What the bandwidth limits count in, for all threads that serve this configuration. */
  readonly rates: SharedArrayBuffer;
  /** Module roots below which the kernel follows no link. */
  readonly linkless: ReadonlySet<string>;
  /** Another one each time a configuration is read: caches are not carried over. */
  readonly epoch: string;
}

/**
 * Reads the host's id names and, when a module wants them, binds the system calls that Node lacks.
 * @param ownRoot whether this process has a root directory of its own, which nobody else can change.
 * @throws ConfigError when a module says `xattrs = true` and they cannot be bound.
 */
export async function loadHostTables(config: Config, ownRoot = false): Promise<HostTables> {
  return {
    idNames: readHostNames(),
    // Least privilege: without such a module, FFI is never even loaded.
    xattrs: config.modules.some((module) => module.xattrs) ? await loadXattrCalls() : null,
    rates: newRates(config),
    linkless: ownRoot ? linklessRoots() : new Set(),
    epoch: String(monotonicMs()),
  };
}

/** Memory for the daemon's limit and one per module. */
export function newRates({ modules }: Pick<Config, 'modules'>): SharedArrayBuffer {
  return new SharedArrayBuffer(RateLimit.BYTES * (1 + modules.length));
}

/** The parts that modules are made of. */
export type ServedConfig = Pick<Config, 'modules' | 'limits' | 'bytesPerSecond'>;

/** Compiles each module's rules. @throws ConfigError for a rule that does not parse. */
export function servedModules(config: ServedConfig, tables: HostTables): ServedModule[] {
  const limit = (bytesPerSecond: number, place: number): RateLimit[] =>
    bytesPerSecond === 0 ? [] : [new RateLimit(bytesPerSecond, tables.rates, place * RateLimit.BYTES)];
  return config.modules.map((module, index) => ({
    ...servedModule(module, tables, config.limits),
    rateLimits: [...limit(config.bytesPerSecond, 0), ...limit(module.bytesPerSecond, 1 + index)],
  }));
}

function servedModule(
  module: ModuleConfig,
  { idNames, xattrs, linkless }: HostTables,
  limits: Limits,
): Omit<ServedModule, 'rateLimits'> {
  return {
    name: module.name,
    comment: module.comment,
    isListed: module.list,
    path: Buffer.from(module.path),
    linklessPath: linkless.has(module.path) ? module.path : null,
    allows: (address) => module.access.allows(address),
    authentication: module.auth,
    maxConnections: module.maxConnections,
    queue: { places: module.queue.places, timeoutMs: module.queue.timeoutSec * 1000 },
    timeoutSec: module.timeoutSec,
    refusePatterns: module.refuseOptions,
    openNoatime: module.openNoatime,
    xattrs: module.xattrs ? xattrs : null,
    dontCompress: module.dontCompress,
    logTransfers: module.logTransfers,
    logSample: module.logSample,
    listCache:
      module.listCacheSec === 0
        ? null
        : {
            maxAgeMs: module.listCacheSec * 1000,
            generationFile: module.generationFile === '' ? null : Buffer.from(module.generationFile),
          },
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
