/**
 * The option sets of the matrix, on its compact tree: data only. test/matrix crosses CROSSED with every protocol and
 * destination state and runs FURTHER where it matters; options.test.ts runs each set once.
 */

import { type EquivalenceCase, pull } from './cases.ts';

type Details = Omit<EquivalenceCase, 'name' | 'args' | 'module'>;

const sets = (options: readonly string[], details: Details = {}): EquivalenceCase[] =>
  options.map((args) => pull('matrix', args, details));

const levels = (args: string, numbers: readonly number[]): string[] => numbers.map((level) => `${args} --zl=${level}`);

const CODECS = ['zlib', 'zlibx', 'lz4', 'zstd'];

/** Each codec and each spelling; in the stale state these are delta transfers. */
const COMPRESSION = sets([
  ...['-az', '-azz', '-az --old-compress', '-az --new-compress', '-a --zl=6', '-a --zc=none', '-az --skip-compress=gz'],
  ...CODECS.map((codec) => `-a --zc=${codec}`),
  ...CODECS.map((codec) => `-aW --zc=${codec}`),
  ...CODECS.map((codec) => `-ac --inplace --zc=${codec}`),
  ...CODECS.map((codec) => `-a --append --zc=${codec}`),
]);

const TRANSFERS = sets([
  ...['-a', '-aI', '-aW', '-au', '-an', '-aS', '-aB512', '-aI --block-size=131072', '-a --no-inc-recursive'],
  ...['-a --append', '-a --append-verify', '-a --inplace', '-aI --inplace --backup', '-a --partial-dir=.part'],
  ...['-a --partial', '-a --delay-updates', '-a --fuzzy', '-a --max-size=40K', '-a --min-size=40K', '-a --bwlimit=80M'],
  ...['-a --size-only', '-a --existing', '-a --ignore-existing'],
]);

/** Without -H for --compare-dest: with it C rsync's client stalls even at its own daemon. */
const BASES = sets(['-aH --link-dest=../base', '-aH --copy-dest=../base', '-a --compare-dest=../base'], {
  beside: true,
});

const CHECKSUMS = sets([
  ...[
    '-ac',
    '-aI --checksum-choice=xxh3',
    '-ac --checksum-choice=sha1',
    '-aI --cc=none',
    '-ac --checksum-choice=md5,xxh64',
  ],
  ...['-aI --checksum-choice=md4', '-aI --checksum-seed=-7'],
]);

const DELETIONS = sets([
  ...['', '-before', '-during', '-delay', '-after', '-excluded'].map((when) => `-a --delete${when}`),
  ...['-aF --delete', '-am --delete --exclude=*.txt', '-a --delete --max-delete=2'],
]);

const NAMES = [
  ...sets(['-a', '-as', '-a --old-args'], { sources: ['with space', 'text/text[0-3].txt', 'links/to-dir/'] }),
  ...sets(['-a --ignore-missing-args', '-a --delete-missing-args'], { sources: ['missing', 'extra file', 'lib'] }),
  ...sets(['-aR', '-aR --no-implied-dirs'], { sources: ['text/./text0.txt', 'attr/setgid'] }),
  ...sets(['-ar'], { filesFrom: 'text/text0.txt\nlib\nmissing\nwith space\n#comment\nlinks/inside\n' }),
  ...sets(['-d', '-r --list-only', '-a --iconv=utf-8,iso-8859-1']),
];

const ENTRIES = [
  ...sets([
    ...['-r', '-rL', '-rlk', '-rl --copy-unsafe-links', '-rl --safe-links', '-rl --munge-links', '-aH', '-rD', '-rt'],
    ...['-a --numeric-ids', '-aOJ', '-a --copy-devices', '-a --crtimes', '-a --remove-source-files'],
  ]),
  ...['-ax', '-axx'].map((args) => pull('mount', args)),
  pull('times', '-aU'),
];

const FILTERS = sets(['-aF', '-aFF', '-aC', '-a --exclude=*.txt', '-a --include=*/ --include=*.gz --exclude=*']);

/** What is printed; -ii and --stats would change it. */
const OUTPUT = sets(
  [
    ...['-a --itemize-changes', '-a --stats', '-av', '-avv', '-avv --delete --exclude=*.gz', '-aq'],
    ...['-a --info=name2,skip2,del,copy,flist2,stats2 --delete', '-a --debug=filter,exit'],
  ],
  { bare: true },
);

export const CROSSED: readonly EquivalenceCase[] = [
  ...COMPRESSION,
  ...TRANSFERS,
  ...BASES,
  ...CHECKSUMS,
  ...DELETIONS,
  ...NAMES,
  ...ENTRIES,
  ...FILTERS,
  ...OUTPUT,
];

const MORE_COMPRESSION = sets([
  ...['-az --no-z', '-az --zc=auto', '-azn', '-aI --fuzzy -z'],
  ...levels('-az', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
  ...levels('-a --zc=zlib', [-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
  ...levels('-a --zc=zlibx', [0, 1, 6, 9]),
  ...levels('-a --zc=zstd', [-131072, -3, 0, 1, 9]),
  ...levels('-a --zc=lz4', [0, 1, 9]),
  ...CODECS.map((codec) => `-aIS --no-W -B2000 --zc=${codec}`),
  ...['-az --skip-compress=gz/txt/b[i]n', '-a --zc=zlib --skip-compress=gz/t[xy]t', '-a --zc=zlib --skip-compress='],
]);

const upTo = (last: number): number[] => Array.from({ length: last + 1 }, (_, level) => level);

/** The levels of each codec that has levels; the matrix alone has them, as the high ones of zstd take C rsync's daemon long. */
export const EVERY_LEVEL: readonly EquivalenceCase[] = sets(
  [
    ...levels('-a --zc=zlibx', upTo(9)),
    ...levels('-a --zc=zstd', [...upTo(22), 99]),
    ...levels('-aI --zc=zlib', upTo(9)),
  ],
  { protocols: [32], states: ['stale'] },
);

const MORE_TRANSFERS = sets([
  ...['-a --inplace --no-W -B900', '-a --backup', '-ab --suffix=.old', '-a --no-fuzzy', '-a --delete-after --fuzzy'],
  ...['-a --max-size=100000 --min-size=1', '-aI --block-size=700', '-aI --no-whole-file', '-aI --sparse --inplace'],
  ...['-a --preallocate', '-a --bwlimit=0', '-a --timeout=30', '-a --modify-window=2', '-a -@-1', '-anc', '-a --fsync'],
  ...[
    '-a --ignore-existing --existing',
    '-a --contimeout=20',
    '-a --stop-after=5',
    '-a --max-alloc=512M',
    '-a --qsort',
  ],
  ...['-a --no-i-r --delete', '-a --outbuf=L', '-a --trust-sender', '-a --no-s', '-a --mkpath', '-a -8'],
]);

const MORE_BASES = sets(
  [
    ...['-aH --link-dest=../base -z', '-ac --copy-dest=../base', '-a --link-dest=../spare --link-dest=../base'],
    ...['-ayy --copy-dest=../base', '-aI --copy-dest=../base --zc=zlib', '-a --backup --backup-dir=../spare'],
    ...['-a --temp-dir=../spare', '-a --partial-dir=../spare'],
  ],
  { beside: true },
);

const MORE_CHECKSUMS = sets([
  ...['xxh128', 'xxh64', 'md5', 'sha1', 'auto'].map((sum) => `-aI --checksum-choice=${sum}`),
  ...['xxh128', 'xxh3', 'xxh64', 'md5', 'md4', 'auto'].map((sum) => `-ac --cc=${sum}`),
  ...['-ac --checksum-choice=xxh3,md4', '-ac --checksum-choice=auto,sha1', '-ac --checksum-seed=99'],
  ...['-aI --checksum-seed=1', '-aI --cc=md5 --checksum-seed=123456', '-aI --cc=md4 --checksum-seed=5 -z'],
]);

const MORE_DELETIONS = sets([
  ...['-a --del', '-aH --delete', '-a --delete --force', '-a --delete --ignore-errors', '-aFF --delete-after'],
  ...[
    '-a --delete-excluded --exclude=*.bin --filter=P_extra*',
    '-aC --delete',
    '-aC --delete-excluded',
    '-an --delete',
  ],
  ...['-a --no-i-r --delete-during', '-r --delete -c'],
]);

const MORE_NAMES = [
  ...sets(['-ad --delete --delete-missing-args', '-a'], { sources: ['missing', 'extra file', 'lib', 'empty'] }),
  ...sets(['-aR --delete', '-aRF', '-aR --no-R'], { sources: ['text/./text0.txt', 'lib'] }),
  ...sets(['-a --no-R', '-a --no-implied-dirs', '-as'], { filesFrom: 'text/text0.txt\nlib\nmissing\nwith space\n' }),
  ...sets(['-a --from0', '-a0s'], { filesFrom: 'new\nline-\xe9\xff\0lib/core\0' }),
  ...sets(['-d --delete', '--old-dirs -l', '-dR', '-a --no-recursive', '--list-only', '-rc --list-only']),
  ...sets(['-a --iconv=.', '-a --no-iconv', '-aU --list-only --crtimes']),
];

const MORE_ENTRIES = [
  ...sets([
    ...[
      '-rl',
      '-rlK',
      '-a --safe-links --delete',
      '-aHH',
      '-rH',
      '-rp',
      '-rE',
      '-rog',
      '-r --devices',
      '-r --specials',
    ],
    ...[
      '-a --no-specials',
      '-a --no-D',
      '-a --no-links',
      '-a --no-perms',
      '-a --no-times',
      '-aO',
      '-aJ',
      '-a --no-super',
    ],
    ...['-a --chmod=D700,F600', '-a --chown=1:1', '-a --usermap=1:2 --groupmap=*:3', '-a --write-devices'],
    ...['-a --open-noatime', '-M--crtimes -a', '-M--copy-devices -a', '-M-V -a'],
  ]),
  pull('mount', '-rxL'),
  pull('times', '-aUU'),
];

const MORE_FILTERS = sets([
  ...[
    '-aFC',
    '-am --exclude=*.gz',
    '-a --exclude=/lib/ --exclude=/text',
    '-a --filter=:_.rsync-filter',
    '-a --filter=:C',
  ],
  ...['-a --filter=-C', '-a --filter=H_*.o --filter=S_x*', '-a --filter=-!_*/ --exclude=lib/', '-a --exclude=li**o'],
  ...['-a --filter=dir-merge,n-_.cvsignore', '-aR --exclude=/lib/core', '-a --exclude=with?space --exclude=[np]*.gz'],
]);

const MORE_OUTPUT = sets(
  [
    ...['-a', '-avvv', '-aii', '-aiv', '-a --itemize-changes --delete', '-avn --delete', '-av --stats', '-ah --stats'],
    ...['-ahh --stats', '-a --no-h --stats', '-a --stats --delete', '-avz --stats', '-avF', '-avvF', '-avvc', '-avvH'],
    ...[
      '-avvz',
      '-avvI --fuzzy',
      '-a --out-format=%i_%n%L_%l_%o',
      '-a --out-format=%M_%B_%U:%G_%f',
      '-a --log-file=log',
    ],
    ...['-a --out-format=%C_%n', '-a --info=name', '-a --info=remove,symsafe,misc2,mount,backup,nonreg --delete'],
    ...['-a --info=stats1', '-a --info=stats3', '-a --info=all0', '-av --info=flist0,stats0', '-aqz', '-aq --delete'],
    ...['-a --debug=filter2,flist,recv', '-a --debug=deltasum,hash,send', '-a --debug=none', '-avF --debug=filter'],
    ...['-a --debug=del,dup,fuzzy,genr,own,time --delete', '-a --debug=proto,nstr,cmd', '-a --stderr=all -v'],
    ...['-a --msgs2stderr -v', '-a --no-motd', '-avP --no-progress', '-a --list-only -v'],
  ],
  { bare: true },
);

/** Levels, spellings and neighbours of what is crossed: an old and the newest protocol, on a stale destination. */
export const FURTHER: readonly EquivalenceCase[] = [
  ...MORE_COMPRESSION,
  ...MORE_TRANSFERS,
  ...MORE_BASES,
  ...MORE_CHECKSUMS,
  ...MORE_DELETIONS,
  ...MORE_NAMES,
  ...MORE_ENTRIES,
  ...MORE_FILTERS,
  ...MORE_OUTPUT,
].map((asked) => ({ ...asked, protocols: [29, 32], states: ['stale'] }));
