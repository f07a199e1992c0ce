/** The table of the equivalence test: what clients ask for. Data only; equivalence.test.ts runs it. */

/** What stands at the destination before the pull. */
export type DestinationState = 'empty' | 'identical' | 'stale';

export type ModuleName =
  | 'plain'
  | 'odd'
  | 'delta'
  | 'filter'
  | 'times'
  | 'mount'
  | 'wide'
  | 'matrix'
  | DaemonFilterModule;
type DaemonFilterModule = 'excluded' | 'included' | 'ruled' | 'numeric';

export interface EquivalenceCase {
  readonly name: string;
  /** Client options; -ii, --stats and --protocol are added. */
  readonly args: readonly string[];
  readonly module: ModuleName;
  /** Paths in the module, latin1 bytes; the whole module when absent. */
  readonly sources?: readonly string[];
  /** Default: CORE_PROTOCOLS. */
  readonly protocols?: readonly number[];
  /** Default: all. */
  readonly states?: readonly DestinationState[];
  /** Content of the file that --files-from names. */
  readonly filesFrom?: string;
  /** Directories beside the destination: `../base` is a stale copy of the tree, `../spare` is empty. */
  readonly beside?: true;
  /** Only --protocol is added to the arguments: for options that change what is printed. */
  readonly bare?: true;
}

export const PROTOCOLS: readonly number[] = [27, 28, 29, 30, 31, 32];
/** One of each behaviour: 27 and 31 differ from their neighbours in the handshake, not in what options do. */
export const CORE_PROTOCOLS: readonly number[] = [28, 29, 30, 32];
export const STATES: readonly DestinationState[] = ['empty', 'identical', 'stale'];

type Options = Omit<EquivalenceCase, 'name' | 'args' | 'module'>;

/** Options in words, as a shell without quotes would split them. */
export function pull(module: ModuleName, args: string, options: Options = {}): EquivalenceCase {
  const { sources } = options;
  const shown = sources === undefined ? '' : ` ${sources.map((source) => JSON.stringify(source)).join(' ')}`;
  return { name: `${module}${shown} ${args}`, args: args.split(' '), module, ...options };
}

const STALE: Options = { states: ['stale'] };
const EMPTY: Options = { states: ['empty'] };

/** What the issue names: every protocol and every state. */
const NAMED: readonly EquivalenceCase[] = [
  pull('odd', '-aHD --numeric-ids'),
  pull('plain', '-r'),
  pull('plain', '-d'),
  pull('plain', '-a'),
  pull('plain', '-aHD'),
  pull('times', '-aU'),
  pull('delta', '-ac'),
  pull('plain', '-aR', { sources: ['dirs/./new\nline', 'order/foo.d', 'deep/d/d/d'] }),
  pull('mount', '-ax'),
  pull('mount', '-axx'),
  pull('plain', '-rL'),
  pull('plain', '-rlk'),
  pull('plain', '-rl --copy-unsafe-links'),
  pull('plain', '-a', { filesFrom: 'sizes/f700\n#hash\nnames/#hash\nlinks/\n./order//foo.d\nmissing\nhard/a\n' }),
].map((asked) => ({ ...asked, protocols: PROTOCOLS }));

const LISTS: readonly EquivalenceCase[] = [
  pull('plain', '-r --list-only', EMPTY),
  pull('plain', '--list-only', EMPTY),
  pull('plain', '--list-only', { ...EMPTY, sources: ['names/', 'sizes/f1', 'links/to-dir', 'links/to-dir/'] }),
  pull('plain', '-an', STALE),
  pull('plain', '-anc --delete', STALE),
  pull('plain', '-aH --no-inc-recursive', STALE),
  pull('plain', '-aH --no-specials', EMPTY),
  pull('plain', '-a --specials --no-devices', EMPTY),
  pull('plain', '-a --no-l', EMPTY),
  pull('plain', '-a --safe-links', EMPTY),
  pull('plain', '-rp', STALE),
  pull('plain', '-og', { ...EMPTY, sources: ['attr/named-owner'] }),
  pull('numeric', '-a', { ...EMPTY, sources: ['attr'] }),
  pull('plain', '-a --numeric-ids', { ...EMPTY, sources: ['attr'] }),
  pull('plain', '-aO --omit-link-times', STALE),
  pull('odd', '-a --ignore-errors --delete', STALE),
  pull('odd', '-r', { ...EMPTY, sources: ['forbidden/search-only/file', 'forbidden/dir', 'forbidden/file'] }),
  pull('wide', '-a', { states: ['empty', 'identical'], protocols: [29, 32] }),
];

const ARGUMENTS: readonly EquivalenceCase[] = [
  pull('plain', '-a', { ...EMPTY, sources: ['sizes', 'order/', 'names'] }),
  pull('plain', '-a', { ...EMPTY, sources: ['order/*'] }),
  pull('plain', '-a', { ...EMPTY, sources: ['names/*'] }),
  pull('plain', '-a', { ...EMPTY, sources: ['*/f[0-7]*', 'o?der/foo*'] }),
  pull('plain', '-a', { ...EMPTY, sources: ['no-match-*'] }),
  pull('plain', '-a', { ...EMPTY, sources: ['links/to-dir/', 'links/to-file', 'links/to-dir'] }),
  pull('plain', '-a', { ...EMPTY, sources: ['names/ leading space', 'names/-leading dash', 'names/back\\slash'] }),
  pull('plain', '-a', { ...EMPTY, sources: ['sizes/f1', 'missing', 'sizes/f0'] }),
  pull('plain', '-a', { ...EMPTY, sources: ['order/../sizes/f1'] }),
  pull('plain', '-as', { ...EMPTY, sources: ['names/ leading space', 'names/quotes\'"', 'names/#hash', 'order/f*'] }),
  pull('plain', '-a --old-args', { ...EMPTY, sources: ['sizes/f1 plain/sizes/f0', 'order/foo'] }),
  pull('plain', '-a --ignore-missing-args', { ...EMPTY, sources: ['missing', 'order'] }),
  pull('plain', '-a --delete-missing-args', { ...STALE, sources: ['extra file', 'order'] }),
  pull('plain', '-d', { ...EMPTY, sources: ['order', 'order/foo', 'sizes/'] }),
  pull('plain', '-lptgoD', { ...EMPTY, sources: ['sizes/f1', 'order', 'links/absolute'] }),
  pull('plain', '-aR', { ...EMPTY, sources: ['order/foo.d/x', 'order/foob/x', 'sizes/f1', 'hard'] }),
  pull('plain', '-aR --no-implied-dirs', { ...EMPTY, sources: ['order/foo.d/x', 'dirs/./#hash/file'] }),
  pull('plain', '-aR', { ...EMPTY, sources: ['links/to-dir/f1'] }),
  pull('plain', '-a --from0', { ...EMPTY, filesFrom: 'names/new\nline\0names/latin1-\xe9\xff\xfe\0dirs/#hash\0' }),
  pull('plain', '-a --no-relative', { ...EMPTY, filesFrom: 'sizes/f1\norder/foo.d\nnames/ leading space\n' }),
  pull('plain', '-ar', { ...EMPTY, filesFrom: 'dirs\norder/foob\nhard\ndeep\n' }),
  pull('plain', '-ar --no-implied-dirs', { ...EMPTY, filesFrom: 'order/foob/x\nsizes/f1\n' }),
  pull('plain', '-ars', { ...EMPTY, filesFrom: 'order\nnames/ leading space\n', sources: ['.'] }),
  pull('filter', '-a --files-from=:list.txt', EMPTY),
];

/** In protocols that read requests or rules differently; the matrix has such options in all. */
const withoutThirty = (asked: EquivalenceCase): EquivalenceCase => ({ protocols: [28, 29, 32], ...asked });

const TRANSFERS: readonly EquivalenceCase[] = [
  pull('delta', '-a'),
  pull('delta', '-aI', STALE),
  pull('delta', '-aW', STALE),
  pull('delta', '-aB1000', STALE),
  pull('delta', '-aB 8192', STALE),
  pull('delta', '-a --inplace', STALE),
  pull('delta', '-a --inplace --backup', STALE),
  pull('delta', '-a --backup --suffix=.old', STALE),
  pull('delta', '-a --append', STALE),
  pull('delta', '-a --append-verify', STALE),
  pull('delta', '-a --partial', STALE),
  pull('delta', '-a --partial-dir=.part --delay-updates', STALE),
  pull('delta', '-aS', STALE),
  pull('delta', '-au', STALE),
  pull('delta', '-a --size-only', STALE),
  pull('delta', '-a --existing', STALE),
  pull('delta', '-a --ignore-existing', STALE),
  pull('delta', '-a --max-size=10K --min-size=2', STALE),
  pull('delta', '-ay --no-W', STALE),
  pull('delta', '-a --timeout=60', STALE),
  pull('delta', '-a --bwlimit=100M', STALE),
  pull('delta', '-aI --checksum-seed=1', STALE),
  pull('delta', '-aI --checksum-seed=-7', STALE),
  ...['xxh128', 'xxh3', 'xxh64', 'md5', 'md4', 'sha1', 'none'].flatMap((sum) => [
    pull('delta', `-aI --checksum-choice=${sum}`, { ...STALE, protocols: [29, 32] }),
    pull('delta', `-ac --checksum-choice=${sum === 'none' ? 'md5' : sum}`, { ...STALE, protocols: [29, 32] }),
  ]),
  pull('delta', '-ac --checksum-choice=xxh64,sha1', STALE),
  pull('delta', '-aI --checksum-choice=md4 --checksum-seed=5', STALE),
  pull('delta', '-aI --checksum-choice=md5 --checksum-seed=5', STALE),
  pull('delta', '-ac --checksum-choice=auto', STALE),
];

const DELETIONS: readonly EquivalenceCase[] = [
  ...['', '-before', '-during', '-delay', '-after', '-excluded'].map((when) =>
    pull('filter', `-a --delete${when}`, STALE),
  ),
  pull('plain', '-aH --delete', STALE),
  pull('filter', '-am --delete --exclude=*.c', STALE),
  pull('filter', '-a --delete-excluded --exclude=*.c --filter=P_*.o', STALE),
  pull('filter', '-a --delete --max-delete=1', STALE),
];

const FILTERS: readonly EquivalenceCase[] = [
  ...[
    '--exclude=*.o',
    '--exclude=/a.c --exclude=lib/',
    '--exclude=/src/**/a.c',
    '--exclude=foo/*/baz --exclude=[!a-l]*.bak',
    '--include=*/ --include=*.c --exclude=*',
    '--include=src/*** --exclude=*',
    '--exclude=src/lib/***',
    '--filter=-s_*.c --filter=-r_*.o',
    '--filter=H_core --filter=S_a.o --filter=R_x',
    '--filter=-!_*.c --include=*/',
    '--filter=-/_/src/a.c',
    '--filter=-C',
    '--filter=:_.excludes',
    '--filter=:-_.excludes',
    '--filter=:e-n_.excludes',
    '--filter=:C',
    '--filter=dir-merge,-w_.cvsignore',
    '--filter=exclude_*.txt --filter=include_*.c',
    '--filter=-x_user.* --filter=-p_*.o',
    '--exclude=a?c --exclude=x\\~ --exclude=\\a.txt',
    '-F',
    '-FF',
    '-C',
    '-R --exclude=/src/a.c',
  ].map((args) => pull('filter', `-a ${args}`, STALE)),
  // The stale tree's merge files are damaged: the client itself would stop at them.
  pull('filter', '-a -F -C --delete', { states: ['identical'] }),
  pull('filter', '-a --exclude=/lib/ --exclude=src/core', { ...EMPTY, sources: ['src', 'build/'] }),
  pull('filter', '-aR -F', { ...EMPTY, sources: ['src/lib', 'foo'] }),
  pull('plain', '-a --exclude=*\\\\* --exclude=n*n* --exclude=[#;]*', EMPTY),
  ...(['excluded', 'included', 'ruled'] as const).flatMap((module) => [
    pull(module, '-a --delete', STALE),
    pull(module, '-aF --exclude=*.txt', EMPTY),
    pull(module, '-a', { ...EMPTY, sources: ['private/a.c', 'src/a.o', 'src/lib/a.c', '*.c', 'private'] }),
    pull(module, '-a', { ...EMPTY, filesFrom: 'private/a.c\nsrc/a.o\nsrc/lib\nbuild/core\n' }),
  ]),
];

export const CASES: readonly EquivalenceCase[] = [
  ...NAMED,
  ...LISTS,
  ...ARGUMENTS,
  ...TRANSFERS.map(withoutThirty),
  ...DELETIONS,
  ...FILTERS.map(withoutThirty),
];
