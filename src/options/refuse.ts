/** The operator's list of refused options (rsyncd.conf `refuse options`) and rsync's wording; parse.ts calls it. */

import { UsageError } from '../errors.ts';

/**
 * Options that a wildcard does not refuse, because hardly a transfer works without them; their exact names do.
 * rsyncd.conf(5) has the list.
 */
const NOT_BY_WILDCARD: ReadonlySet<string> = new Set([
  'rsh',
  'out-format',
  'log-format',
  'dry-run',
  'secluded-args',
  'protect-args',
  'from0',
  'iconv',
  'no-iconv',
  'checksum-seed',
  'write-devices',
]);

/** Options without which there is no transfer at all: no entry of the list reaches them. */
const NEVER: ReadonlySet<string> = new Set(['server', 'sender', 'rsh']);

/** What -a stands for: naming `a` or `archive` (without wildcards) means all of these. */
const ARCHIVE_LETTERS = ['r', 'd', 'l', 'p', 't', 'g', 'o', 'D'];

interface RefusalEntry {
  readonly refuses: boolean;
  /** Null for an exact name. */
  readonly pattern: RegExp | null;
  readonly name: string;
}

/** A module's refuse_options, compiled. */
export interface RefusalRules {
  /** True when the last entry that matches the option, by long name or letter, refuses it. Either name may be empty. */
  refuses(name: string, letter: string): boolean;
}

/**
 * Compiles refuse_options: exact names, letters or wildcards, `!` in front accepts again, the last match wins.
 * Leading dashes are dropped: `--compress` is meant as `compress`.
 */
export function compileRefusals(patterns: readonly string[]): RefusalRules {
  const entries = patterns.flatMap(compileEntry);
  return {
    refuses(name, letter) {
      if (NEVER.has(name)) return false;
      let refused = false;
      for (const entry of entries) if (matches(entry, name, letter)) refused = entry.refuses;
      return refused;
    },
  };
}

function compileEntry(text: string): RefusalEntry[] {
  const negated = text.startsWith('!');
  const name = text.slice(negated ? 1 : 0).replace(/^\s*-{0,2}/, '');
  if (name === '') return [];
  const refuses = !negated;
  if (/[*?[]/.test(name)) return [{ refuses, pattern: wildcardPattern(name), name }];
  const names = name === 'a' || name === 'archive' ? ['a', 'archive', ...ARCHIVE_LETTERS] : [name];
  return names.map((exact) => ({ refuses, pattern: null, name: exact }));
}

function matches(entry: RefusalEntry, name: string, letter: string): boolean {
  if (entry.pattern === null) return entry.name === name || entry.name === letter;
  if (NOT_BY_WILDCARD.has(name)) return false;
  return (name !== '' && entry.pattern.test(name)) || (letter !== '' && entry.pattern.test(letter));
}

/** Option names are short and come from table.ts, so the cost of a regular expression is bounded by its author: the operator. */
function wildcardPattern(text: string): RegExp {
  const source = text.replace(/\[([!^]?)((?:\]|)[^\]]*)\]|\*+|\?|[^*?[]|\[/g, (token, negation, set) => {
    if (token.startsWith('*')) return '.*';
    if (token === '?') return '.';
    if (set === undefined) return escapeLiteral(token);
    return `[${negation === '' ? '' : '^'}${set.replace(/[\\\]^[]/g, '\\$&')}]`;
  });
  return new RegExp(`^${source}$`, 's');
}

function escapeLiteral(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&');
}

/** The refusal of an option, exit 4. */
export function refusedOption(name: string, letter: string): UsageError {
  return new UsageError(refusalText(name, letter));
}

/** Its wording: long name, then the letter where there is one (1-session.md 6.6). */
export function refusalText(name: string, letter: string): string {
  const long = name === '' ? '' : `--${name}`;
  const short = letter === '' ? '' : `-${letter}`;
  const shown = long === '' || short === '' ? long + short : `${long} (${short})`;
  return `rsync: The server is configured to refuse ${shown}\n`;
}
