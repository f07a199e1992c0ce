/** Module keys against the parameters of the same name of C rsync's daemon: the same tree, the same keys, the same pulls. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDaemon } from '../helpers/daemon.ts';
import type { ModuleSpec } from '../helpers/module-spec.ts';
import { startReferenceDaemon } from '../helpers/reference-daemon.ts';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import type { RunningDaemon } from '../helpers/running-daemon.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { makeTree, type TreeEntry } from '../helpers/tree.ts';
import { hasRoot } from '../setup/clients.ts';
import type { EquivalenceCase } from './cases.ts';
import { compareOutcomes, type Outcome, pull } from './pull.ts';

type Keys = NonNullable<ModuleSpec['keys']>;

const TREE: readonly TreeEntry[] = [
  { name: 'a.c', size: 100 },
  { name: 'a.o', size: 200 },
  { name: 'x y', content: 'blank' },
  { name: 'private/a.c', size: 3 },
  { name: 'private/key', size: 4 },
  { name: 'lib/a.o', size: 5 },
  { name: 'lib/deep/a.c', size: 6 },
  { name: 'secret', content: 'only root may read this', mode: 0o600 },
  { name: 'closed/file', content: 'behind a closed door' },
  { name: 'closed', is: 'dir', mode: 0o700 },
  { name: 'owned', content: 'named', uid: 1, gid: 2 },
  { name: 'unowned', content: 'unnamed', uid: 54_321, gid: 54_322 },
  { name: 'mode/setuid', content: 's', mode: 0o4755 },
  { name: 'mode/group', content: 'g', mode: 0o664 },
  { name: 'mode/sticky', is: 'dir', mode: 0o1755 },
  { name: 'munged', symlink: '/rsyncd-munged//etc/passwd' },
  { name: 'munged-twice', symlink: '/rsyncd-munged//rsyncd-munged/a.c' },
  { name: 'unmunged', symlink: 'a.c' },
  { name: 'almost', symlink: '/rsyncd-munged' },
  { name: 'text.gz', content: 'compressible '.repeat(5000) },
  { name: 'text.txt', content: 'compressible '.repeat(5000) },
];

/** Rules as a file holds them: comments, an empty line, blanks, prefixes and a rule that clears. */
const RULES = 'gone\n!\n# comment\n; comment\n\n*.o\nx y\n+ /private/a.c\n- /private/*\nlib/deep/\n';

interface KeyCase {
  readonly keys: (dir: string) => Keys;
  /** Requests, options first; sources are named behind `--`. */
  readonly pulls: readonly (readonly [args: string, sources?: readonly string[]])[];
}

const CASES: Readonly<Record<string, KeyCase>> = {
  'exclude-from': {
    keys: (dir) => ({ exclude_from: join(dir, 'rules') }),
    pulls: [['-a'], ['-a', ['private/key', 'private/a.c', 'x y', 'lib/deep/a.c', 'lib/a.o']], ['-r --exclude=*.c']],
  },
  'include-from': {
    keys: (dir) => ({ include_from: join(dir, 'rules'), exclude: ['*'] }),
    pulls: [['-a'], ['-a', ['private/key', 'private/a.c', 'a.o', 'a.c']]],
  },
  'both-from': {
    keys: (dir) => ({ include_from: join(dir, 'more-rules'), exclude_from: join(dir, 'rules'), exclude: ['mode'] }),
    pulls: [['-a'], ['-aR', ['lib/./deep/a.c', 'mode/group']]],
  },
  'ignore-nonreadable': {
    keys: () => ({ ignore_nonreadable: true }),
    pulls: [['-a'], ['-r', ['secret']], ['-r', ['secret', 'a.c']], ['-ac']],
  },
  'report-nonreadable': { keys: () => ({ ignore_nonreadable: false }), pulls: [['-a'], ['-r', ['secret']]] },
  'munge-on': { keys: () => ({ munge_symlinks: true }), pulls: [['-a'], ['-a --munge-links'], ['-a --safe-links']] },
  'munge-off': { keys: () => ({ munge_symlinks: false }), pulls: [['-a'], ['-a --munge-links']] },
  'numeric-on': { keys: () => ({ numeric_ids: true }), pulls: [['-a'], ['-a --numeric-ids'], ['-og', ['owned']]] },
  'numeric-off': { keys: () => ({ numeric_ids: false }), pulls: [['-a', ['owned', 'unowned']], ['-a --numeric-ids']] },
  ...Object.fromEntries(
    ['D755,F644', 'u=rwX,go=rX', 'a-w', 'Fgo-rwx,D+t', 'ug-s,o=g', 'D2750,F0640'].map((chmod, index) => [
      `outgoing-chmod-${index}`,
      { keys: () => ({ outgoing_chmod: chmod }), pulls: [['-a'], ['-a --chmod=u+w']] } satisfies KeyCase,
    ]),
  ),
  'noatime-off': {
    keys: () => ({ open_noatime: false }),
    pulls: [
      ['-a', ['a.c']],
      ['-a --open-noatime', ['a.c']],
    ],
  },
  'dont-compress-some': {
    keys: () => ({ dont_compress: ['*.gz', '*.iso'] }),
    pulls: [['-az'], ['-a --zc=zlib'], ['-a --zc=zlibx --zl=9'], ['-a --zc=zstd --skip-compress=txt']],
  },
  'dont-compress-all': { keys: () => ({ dont_compress: ['*'] }), pulls: [['-az'], ['-a --zc=lz4'], ['-a --zc=zlib']] },
};

/** Lists of refused options, each with requests; the words of the refusal must be the same. */
const REFUSALS: readonly (readonly [refused: readonly string[], requests: readonly string[]])[] = [
  [
    ['checksum', 'dry-run'],
    ['-r', '-rc', '-rn', '-r --checksum-choice=md5'],
  ],
  [
    ['c', 'z'],
    ['-rc', '-rz', '-r --new-compress', '-r --zc=zstd', '-r --compress-level=3'],
  ],
  [['compress*'], ['-rz', '-r --zc=zlib', '-rz --compress-choice=lz4']],
  [['delete'], ['-r --delete', '-r --delete-after', '-r --delete-excluded', '-r --max-delete=1']],
  [
    ['*', '!r', '!t', '!verbose', '!itemize-changes'],
    ['-r', '-rt', '-rtv', '-a', '-rH', '-rn', '-r --bwlimit=9', '-rs', '-r --no-r -d'],
  ],
  [
    ['archive', '!links'],
    ['-r', '-l', '-p', '-D', '-d', '-t'],
  ],
  [
    ['iconv', 'partial*', 'inplace'],
    ['-r --partial', '-r --inplace', '-r --partial-dir=p', '-r --append'],
  ],
];

describe.skipIf(!hasRoot())('module keys as parameters of C rsync', () => {
  let dir: string;
  let reference: RunningDaemon;
  let ours: RunningDaemon;
  let directories = 0;
  const startedMs = Date.now() - 1000;

  beforeAll(async () => {
    dir = scratchDir('module-keys');
    const path = join(dir, 'module');
    mkdirSync(path);
    await makeTree(path, TREE);
    writeFileSync(join(dir, 'rules'), RULES, { mode: 0o644 });
    writeFileSync(join(dir, 'more-rules'), 'lib/\nlib/deep/\nlib/deep/a.c\r\n', { mode: 0o644 });
    const modules: ModuleSpec[] = [
      ...Object.entries(CASES).map(([name, { keys }]) => ({ name, path, keys: { numeric_ids: true, ...keys(dir) } })),
      { name: 'noatime-on', path, keys: { numeric_ids: true, open_noatime: true } },
      ...REFUSALS.map(([refused], index) => ({ name: `refusing-${index}`, path, keys: { refuse_options: refused } })),
    ];
    reference = await startReferenceDaemon(modules);
    ours = await startDaemon({ modules });
  });

  afterAll(async () => {
    await ours?.stop();
    await reference?.stop();
    removeTree(dir);
  });

  function pullFrom(
    daemon: RunningDaemon,
    module: string,
    args: string,
    sources?: readonly string[],
  ): Promise<Outcome> {
    const asked: EquivalenceCase = {
      name: module,
      args: args.split(' '),
      module: module as EquivalenceCase['module'],
      ...(sources === undefined ? {} : { sources }),
    };
    const own = join(dir, `pull${directories++}`);
    return pull(daemon, { asked, protocol: 32, template: null, dir: own, startedMs });
  }

  const requests = Object.entries(CASES).flatMap(([module, { pulls }]) =>
    pulls.map(([args, sources]) => [module, args, sources ?? []] as const),
  );

  it.each(requests)('%s gives for %s %j what the reference gives', async (module, args, sources) => {
    const named = sources.length === 0 ? undefined : sources;
    const expected = await pullFrom(reference, module, args, named);
    const differences = compareOutcomes(expected, await pullFrom(ours, module, args, named));
    // We store what `dont_compress` names; in the reference only a list of `*` has any effect.
    const stores = module === 'dont-compress-some';
    expect(differences.filter((line) => !(stores && line.startsWith('bytes received')))).toEqual([]);
  });

  it.each(['exclude-from', 'ignore-nonreadable', 'munge-on', 'outgoing-chmod-0'])(
    '%s changes what is sent',
    async (module) => {
      const plain = await pullFrom(ours, 'dont-compress-some', '-a');
      expect(compareOutcomes(plain, await pullFrom(ours, module, '-a'))).not.toEqual([]);
    },
  );

  // The files are root's, so that O_NOATIME is denied: there the reference sends nothing (exit 23), we read without it.
  // An owner cannot serve its files (sandbox/verify.ts): what O_NOATIME does for one is a test of vfs/.
  it.each(['-a', '-a --open-noatime'])('open_noatime sends files of other owners for %s', async (args) => {
    const [expected, actual, refused] = await Promise.all([
      pullFrom(reference, 'noatime-off', '-a', ['a.c', 'lib']),
      pullFrom(ours, 'noatime-on', args, ['a.c', 'lib']),
      pullFrom(reference, 'noatime-on', args, ['a.c', 'lib']),
    ]);
    expect(compareOutcomes(expected, actual)).toEqual([]);
    expect(refused.exitCode).toBe(23);
  });

  const refusals = REFUSALS.flatMap(([refused, list], index) =>
    list.map((args) => [refused.join(' '), args, `refusing-${index}`] as const),
  );

  it.each(refusals)('refuse_options "%s" treats %s as the reference does', async (_refused, args, module) => {
    const [expected, actual] = await Promise.all(
      [reference, ours].map((daemon) => refusalOf(daemon, module, args, dir)),
    );
    expect(actual).toEqual(expected);
  });
});

/** The words of a refusal and the exit code, which the reference cannot always tell (1-session.md 6.5); or the success. */
async function refusalOf(daemon: RunningDaemon, module: string, args: string, dir: string): Promise<string> {
  const result = await rsync([...args.split(' '), moduleUrl(daemon.port, module), `${dir}/refused-${daemon.name}/`]);
  const words = /The server is configured to refuse .*/.exec(result.stderr.toString('latin1'))?.[0];
  // The reference shows a missing long name as "(null)": we show the letter alone.
  return words?.replace('--(null) (-D)', '-D') ?? `exit ${result.exitCode}`;
}
