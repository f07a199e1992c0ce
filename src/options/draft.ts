/** The half-parsed options of one client: table.ts writes them, parse.ts turns them into ServerOptions. */

import type { ServerOptions } from './server-options.ts';

/** Fields of ServerOptions that a single option sets directly. */
type DirectField =
  | 'server'
  | 'sender'
  | 'secludedArgs'
  | 'recurse'
  | 'listOnly'
  | 'impliedDirs'
  | 'links'
  | 'copyLinks'
  | 'copyDirlinks'
  | 'copyUnsafeLinks'
  | 'hardLinks'
  | 'owner'
  | 'group'
  | 'devices'
  | 'specials'
  | 'atimes'
  | 'openNoatime'
  | 'acls'
  | 'xattrs'
  | 'checksum'
  | 'oneFileSystem'
  | 'numericIds'
  | 'ignoreErrors'
  | 'ignoreMissingArgs'
  | 'deleteMissingArgs'
  | 'filesFrom'
  | 'from0'
  | 'dryRun'
  | 'quiet'
  | 'inplace'
  | 'appendMode'
  | 'backup'
  | 'cvsExclude'
  | 'useQsort'
  | 'checksumChoice'
  | 'checksumSeed'
  | 'timeoutSec'
  | 'bwlimitKiB'
  | 'capabilities'
  | 'preRelease';

/** Mutable counterpart of ServerOptions, with what only the end of the list decides. */
export type OptionDraft = { -readonly [Field in DirectField]: ServerOptions[Field] } & {
  /** -d / --no-dirs; null while no option said either. */
  dirs: boolean | null;
  /** -R / --no-relative; null while no option said either: --files-from then turns it on. */
  relative: boolean | null;
  /** How often `z` was given: two mean zlibx. */
  compress: number;
  /** Name fixed by --compress-choice, --old-compress or --new-compress. */
  compressChoice: 'none' | 'zlib' | 'zlibx' | 'lz4' | 'zstd' | null;
  compressLevel: number | null;
  skipSuffixes: Buffer | null;
  /** How often -F was given: the second also hides the merge files. */
  mergeFiles: number;
  extraFilterRules: Buffer[];
};

/** The names of the draft's plain switches. */
export type Flag = {
  [Field in keyof OptionDraft]: OptionDraft[Field] extends boolean ? Field : never;
}[keyof OptionDraft];

/** What a client asks for that sends no options at all. */
export function emptyDraft(): OptionDraft {
  return {
    server: false,
    sender: false,
    secludedArgs: false,
    recurse: false,
    dirs: null,
    listOnly: false,
    relative: null,
    impliedDirs: true,
    links: false,
    copyLinks: false,
    copyDirlinks: false,
    copyUnsafeLinks: false,
    hardLinks: false,
    owner: false,
    group: false,
    devices: false,
    specials: false,
    atimes: false,
    openNoatime: false,
    acls: false,
    xattrs: 0,
    checksum: false,
    oneFileSystem: 0,
    numericIds: false,
    ignoreErrors: false,
    ignoreMissingArgs: false,
    deleteMissingArgs: false,
    filesFrom: null,
    from0: false,
    dryRun: false,
    quiet: false,
    inplace: false,
    appendMode: 0,
    backup: false,
    cvsExclude: false,
    useQsort: false,
    compress: 0,
    compressChoice: null,
    compressLevel: null,
    skipSuffixes: null,
    checksumChoice: null,
    checksumSeed: 0,
    timeoutSec: 0,
    bwlimitKiB: 0,
    capabilities: null,
    preRelease: null,
    mergeFiles: 0,
    extraFilterRules: [],
  };
}
