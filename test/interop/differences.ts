/** Deliberate differences from C rsync's daemon, each with its reason; equivalence.test.ts accepts these and no others. */

import type { EquivalenceCase } from './cases.ts';

export interface Difference {
  /** Why we differ, in one sentence. */
  readonly reason: string;
  /** Cases in which it may show. */
  readonly applies: (asked: EquivalenceCase, protocol: number) => boolean;
  /** Lines of the comparison (pull.ts) that it explains. */
  readonly explains?: RegExp;
  /** The client may wait for the reference until it is killed, which then is soon. */
  readonly referenceHangs?: true;
  /** Arguments with which the reference is asked instead, where ours has to behave as it does with those. */
  readonly askReference?: (args: readonly string[]) => readonly string[];
}

export const DIFFERENCES: readonly Difference[] = [
  {
    reason:
      'With protocol 27 the reference sends -U in a form at which its own client fails or waits for ever; ours works.',
    applies: (asked, protocol) => asked.module === 'times' && protocol === 27,
    explains: /^(?!the client of ours)/,
    referenceHangs: true,
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
    reason:
      'The client ends itself at a name that --no-implied-dirs left without its directory; what it had received by then is chance.',
    applies: (asked, protocol) =>
      protocol < 30 &&
      asked.args.includes('--no-implied-dirs') &&
      (asked.filesFrom !== undefined || asked.sources !== undefined),
    explains: /^(stdout (lacks|has added): >f|order: |tree: )/,
  },
  {
    reason: 'A message names no path outside the module (design.md 5); the reference shows where the module lies.',
    applies: (asked) => asked.args.some((arg) => arg.startsWith('--filter=:')),
    explains: /rule from |^stderr lacks: rsync error: .*\[sender=/,
  },
  {
    reason:
      'Our module has a timeout and says so (design.md 4: a timeout of 0 does not exist); the reference has none.',
    applies: (asked) => asked.bare === true,
    explains: /^std(out|err) has added: Setting --timeout=600 to match server$/,
  },
  {
    reason: 'The reference does not know the spelling in which its own client sends --qsort; ours takes both.',
    applies: (asked) => asked.args.includes('--qsort'),
    askReference: (args) => args.filter((arg) => arg !== '--qsort'),
  },
  {
    reason:
      'Without the right to leave access times alone the reference fails in every directory; ours reads all the same.',
    applies: (asked) => asked.args.includes('--open-noatime') || asked.args.includes('-aUU'),
    askReference: (args) => args.filter((arg) => arg !== '--open-noatime').map((arg) => arg.replace('UU', 'U')),
  },
  {
    reason: 'Skip lists are honoured; the ones of the reference have no effect (3-transfer.md 5.7).',
    applies: (asked) => asked.args.some((arg) => arg.startsWith('--skip-compress=')),
    explains: /^bytes received /,
  },
  {
    reason:
      'A refused option (--iconv is refused as by a C rsync without charset conversion) ends with the exit code of the refusal, or with 12 in clients that know no other; the reference resets some connections and its client then reports the socket.',
    applies: (asked) => asked.args.some((arg) => /^(--iconv=|--copy-devices$|-M)/.test(arg)),
    explains:
      /^exit code should be 10, is (4|12)$|^stderr lacks: rsync error: error in socket IO \(code 10\)|^stderr has added: rsync( error: error in rsync protocol data stream \(code 12\)|: connection unexpectedly closed )/,
  },
  {
    reason:
      'A refusal is told in one line; the reference adds the line of its source where it ended, or tells old clients nothing.',
    applies: (asked) => asked.args.includes('--remove-source-files'),
    explains: /^stderr lacks: rsync error: .*\[sender=|^stderr has added: ERROR: --remove-source-files cannot be used/,
  },
  {
    reason: 'A daemon that is asked for its version (-M-V) refuses; the reference prints it and is gone.',
    applies: (asked) => asked.args.includes('-M-V'),
    explains:
      /^exit code should be \d+, is 4$|^stderr has added: rsync: The server is configured to refuse --version|^stderr lacks: rsync/,
  },
];
