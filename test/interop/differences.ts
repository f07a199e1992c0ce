/** Deliberate differences from C rsync's daemon, each with its reason; equivalence.test.ts accepts these and no others. */

import type { EquivalenceCase } from './cases.ts';

export interface Difference {
  /** Why we differ, in one sentence. */
  readonly reason: string;
  /** Cases in which it may show. */
  readonly applies: (asked: EquivalenceCase, protocol: number) => boolean;
  /** Lines of the comparison (pull.ts) that it explains. */
  readonly explains: RegExp;
}

export const DIFFERENCES: readonly Difference[] = [
  {
    reason: 'With protocol 27 the reference sends -U in a form on which its own client ends with code 22; ours works.',
    applies: (asked, protocol) => asked.module === 'times' && protocol === 27,
    explains: /./,
  },
  {
    reason:
      'Several arguments of --relative with different transfer roots: the order of the sub-lists is free, and ours is sorted.',
    applies: (asked, protocol) => protocol >= 30 && asked.args.includes('-aR') && (asked.sources ?? []).length > 2,
    explains: /^order: /,
  },
  {
    reason:
      'Without incremental recursion the reference keeps the merge files of one argument for the next; we do not.',
    applies: (asked, protocol) => protocol < 30 && asked.args.join(' ') === '-aR -F',
    explains: /foo\/bar\/baz\/core|Number of |Literal data|Total /,
  },
  {
    reason: 'A message names no path outside the module (design.md 5); the reference shows where the module lies.',
    applies: (asked) => asked.args.some((arg) => arg.startsWith('--filter=:')),
    explains: /rule from |^stderr lacks: rsync error: .*\[sender=/,
  },
];
