/** The result of parsing a client's argument list (1-session.md 3 and 4): what a sender must know. */

import type { ChecksumChoice } from '../checksum/choose.ts';
import type { UsageError } from '../errors.ts';

/** How the token stream is compressed (1-session.md 5.4, 3-transfer.md 7.2). */
export interface CompressionRequest {
  /** `negotiate`: by list exchange where the client can, else zlib. Otherwise the fixed name. */
  readonly choice: 'negotiate' | 'none' | 'zlib' | 'zlibx' | 'lz4' | 'zstd';
  /** --compress-level, or null when absent. */
  readonly level: number | null;
  /** --skip-compress suffix list, or null. */
  readonly skipSuffixes: Buffer | null;
}

export interface ServerOptions {
  readonly server: boolean;
  readonly sender: boolean;
  readonly secludedArgs: boolean;
  readonly recurse: boolean;
  /** `-d`, `--list-only` or --files-from: directories may be listed without recursion. */
  readonly dirs: boolean;
  readonly listOnly: boolean;
  readonly relative: boolean;
  readonly impliedDirs: boolean;
  readonly links: boolean;
  readonly copyLinks: boolean;
  readonly copyDirlinks: boolean;
  readonly copyUnsafeLinks: boolean;
  readonly hardLinks: boolean;
  readonly owner: boolean;
  readonly group: boolean;
  readonly devices: boolean;
  readonly specials: boolean;
  readonly atimes: boolean;
  /** `UU` or --open-noatime. */
  readonly openNoatime: boolean;
  readonly acls: boolean;
  /** 0, 1 (`X`) or 2 (`XX`). */
  readonly xattrs: number;
  readonly checksum: boolean;
  /** 0, 1 (`x`) or 2 (`xx`). */
  readonly oneFileSystem: number;
  readonly numericIds: boolean;
  readonly ignoreErrors: boolean;
  readonly ignoreMissingArgs: boolean;
  readonly deleteMissingArgs: boolean;
  /** null; `wire` for --files-from=-; else the path of a file inside the module. */
  readonly filesFrom: null | { readonly kind: 'wire' } | { readonly kind: 'file'; readonly path: Buffer };
  readonly from0: boolean;
  readonly dryRun: boolean;
  readonly quiet: boolean;
  readonly inplace: boolean;
  /** 0 off, 1 --append, 2 --append-verify (protocols below 30 turn 1 into 2 at use). */
  readonly appendMode: number;
  readonly backup: boolean;
  readonly cvsExclude: boolean;
  readonly useQsort: boolean;
  readonly compression: CompressionRequest | null;
  /** Names given with --checksum-choice, lower case and known: transfer sum and -c sum; null when absent. `auto` stays. */
  readonly checksumChoice: ChecksumChoice | null;
  /** Signed 32-bit; 0 when absent. */
  readonly checksumSeed: number;
  /** Seconds, 0…86400; 0 is none. */
  readonly timeoutSec: number;
  /** KiB per second; 0 is unlimited. */
  readonly bwlimitKiB: number;
  /** Letters of the `-e` capability string; null when the client sent none. */
  readonly capabilities: string | null;
  /** Digits before the letters of `-e`: a pre-release client over a remote shell (1-session.md 4.2); null when there are none. */
  readonly preRelease: { readonly version: number; readonly sub: number } | null;
  /** Extra rules given as options (-f, --filter, --exclude, --include, -F), in order, in modern syntax. */
  readonly extraFilterRules: readonly Buffer[];
  /** Everything after the lone `.`, untouched. */
  readonly paths: readonly Buffer[];
  /** Whether the lone `.` was seen. */
  readonly sawDot: boolean;
  /** The first option that we refuse or do not know; the session reports it after the preamble (1-session.md 4.3, 6.6). */
  readonly refusal: UsageError | null;
}
