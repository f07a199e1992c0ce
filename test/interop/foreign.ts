/** Clients that are not C rsync: what they are asked and how the result is judged; run.ts uses both. */

import { compareSnapshots } from '../helpers/compare-snapshots.ts';
import { type EquivalenceCase, pull } from './cases.ts';
import type { Outcome } from './pull.ts';

/** Options of gokr-rsync and openrsync; what one of them does not have is no case for it. */
const OPTIONS: readonly string[] = [
  ...[
    '-r',
    '-rl',
    '-rt',
    '-rlt',
    '-rp',
    '-rlptgo',
    '-rD',
    '-a',
    '-av',
    '-aq',
    '-an',
    '-aI',
    '-ac',
    '-aH',
    '-au',
    '-az',
  ],
  ...['-a --delete', '-r --delete', '-a --numeric-ids', '-a --no-p', '-a --no-D', '-a --devices', '-a --specials'],
  ...['-a --exclude=*.txt', '-a --exclude=/lib/ --exclude=with?space', '-a --include=*/ --include=*.gz --exclude=*'],
  ...['-a --filter=-_*.bin', '-a -f -_*.gz', '-a --inplace', '-aW', '-a --append', '-a --size-only', '-a --timeout=30'],
  ...[
    '-a --ignore-times',
    '-a --existing',
    '-a --max-size=40K',
    '-a --min-size=2K',
    '-a --bwlimit=100000',
    '-ax',
    '-rL',
  ],
  ...['-a --link-dest=../base', '-a --compare-dest=../base', '-a --delete-before', '-a --checksum-seed=7', '-aS'],
  ...['-a --partial', '-a -B 1000', '-a --no-whole-file', '-aO', '-aJ', '-b -a', '-aR', '-a --relative', '-d', '-dl'],
];

/**
 * New and unchanged trees of every kind of entry; stale ones of regular files alone, because gokr-rsync stops at a file
 * that is in the way of a symbolic link. Then parts of a tree.
 */
export const FOREIGN_SETS: readonly EquivalenceCase[] = [
  ...OPTIONS.map((args) => pull('matrix', args, { bare: true, beside: true, states: ['empty', 'identical'] })),
  ...OPTIONS.map((args) => pull('delta', args, { bare: true, beside: true, states: ['stale'] })),
  ...['text/', 'text', 'empty', 'with space', 'missing', 'links', 'hard/a'].map((source) =>
    pull('matrix', '-a', { bare: true, sources: [source], states: ['empty', 'identical'] }),
  ),
];

/** What they print differs from run to run (times, addresses, order): the exit code and the tree are compared. */
export function compareForeign(expected: Outcome, actual: Outcome): string[] {
  const exit =
    expected.exitCode === actual.exitCode ? [] : [`exit code should be ${expected.exitCode}, is ${actual.exitCode}`];
  return [...exit, ...compareSnapshots(expected.tree, actual.tree).map((line) => `tree: ${line}`)].concat(
    exit.length === 0 ? [] : actual.stderr.slice(-3).map((line) => `stderr: ${line}`),
  );
}
