/** A module as sessions see it: everything of its configuration that is needed to serve it, checked and compiled. */

import type { ModuleListing } from '../flist/context.ts';
import type { ListCacheSettings } from '../flist/shared-lists.ts';
import type { LogTransfers } from '../observe/transfer-log.ts';
import type { XattrCalls } from '../vfs/xattrs.ts';
import type { RateLimit } from '../wire/rate-limit.ts';
import type { ModuleAuthentication } from './auth.ts';

export interface ServedModule {
  readonly name: string;
  readonly comment: string;
  /** Shown by `#list`; when false, a refused client cannot tell the module from a missing one. */
  readonly isListed: boolean;
  /** Absolute path of the root. */
  readonly path: Buffer;
  /** The same as text where the kernel follows no link below it (vfs/linkless-roots.ts); else null. */
  readonly linklessPath: string | null;
  /** Whether a peer's address may use it. */
  readonly allows: (address: string) => boolean;
  readonly authentication: ModuleAuthentication | null;
  /** 0 is unlimited. */
  readonly maxConnections: number;
  /** How many may wait for one of these places, 0: none, and how long. */
  readonly queue: { readonly places: number; readonly timeoutMs: number };
  /** `bandwidth_limit`, of the module and of the daemon, where they are set. */
  readonly rateLimits: readonly RateLimit[];
  /** At least 1. */
  readonly timeoutSec: number;
  /** The `refuse_options` list. */
  readonly refusePatterns: readonly string[];
  readonly openNoatime: boolean;
  /** Reads extended attributes and ACLs; null refuses -X and -A. */
  readonly xattrs: XattrCalls | null;
  /** `dont_compress`; null for the built-in list. */
  readonly dontCompress: readonly string[] | null;
  readonly listing: ModuleListing;
  /** `file_list_cache` and `generation_file`; null when each session scans for itself. */
  readonly listCache: ListCacheSettings | null;
  readonly logTransfers: LogTransfers;
  /** Share of files logged, 0 to 1. */
  readonly logSample: number;
}
