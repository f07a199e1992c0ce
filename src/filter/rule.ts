/**
 * The syntax of one filter rule (1-session.md 7.2, 7.3): bytes → RuleText; list.ts, daemon.ts and merge-file.ts call it.
 *
 * `rule = TYPE [","] MODIFIERS SEP PATTERN`, TYPE a letter or a long word, SEP one space or `_`.
 */

import { EXIT, UsageError } from '../errors.ts';

/** What a rule asks for. `merge` reads a file in place, `dirMerge` one in every directory. */
export type RuleAction = 'hide' | 'show' | 'merge' | 'dirMerge' | 'clear';

/** One parsed rule, not yet bound to a directory. */
export interface RuleText {
  readonly action: RuleAction;
  /** Pattern, or the file name of a merge; empty only for `clear` and the CVS list. */
  readonly pattern: Buffer;
  /** Modifier `/`: compare with the path from the module root. */
  readonly absolute: boolean;
  readonly negated: boolean;
  /** Modifier `C`: on hide and show the built-in CVS list stands for the pattern. */
  readonly cvs: boolean;
  /** Modifier `x`: for names of extended attributes, never of files. */
  readonly xattr: boolean;
  /** Sides that the rule names; neither is both. */
  readonly senderSide: boolean;
  readonly receiverSide: boolean;
  /** Modifier `e`: the merge file itself is hidden. */
  readonly hidesFile: boolean;
  /** Modifier `n`: not inherited by sub-directories. */
  readonly noInherit: boolean;
  /** Modifier `w`: the file is split at white space. */
  readonly wordSplit: boolean;
  /** Modifiers `-` and `+`: the file holds patterns without prefixes. */
  readonly bare: 'hide' | 'show' | null;
}

/** Where a rule was written, for error texts. */
export interface RuleOrigin {
  /** Null when the rule itself may be quoted: the peer sent it. Else what stands in its place. */
  readonly label: string | null;
}

/** A rule that the peer sent. */
export const FROM_PEER: RuleOrigin = { label: null };

const COMMA = 0x2c;
const SPACE = 0x20;
const UNDERSCORE = 0x5f;
const BANG = 0x21;

/** Longest part of a rule that an error text repeats; old clients cut messages at 1023 bytes. */
const QUOTED_BYTES = 256;

const WORDS: readonly (readonly [word: string, letter: string])[] = [
  ['exclude', '-'],
  ['include', '+'],
  ['hide', 'H'],
  ['show', 'S'],
  ['protect', 'P'],
  ['risk', 'R'],
  ['merge', '.'],
  ['dir-merge', ':'],
  ['clear', '!'],
];

const ACTIONS: ReadonlyMap<string, RuleAction> = new Map([
  ['-', 'hide'],
  ['+', 'show'],
  ['H', 'hide'],
  ['S', 'show'],
  ['P', 'hide'],
  ['R', 'show'],
  ['.', 'merge'],
  [':', 'dirMerge'],
  ['!', 'clear'],
]);

const PLAIN = {
  absolute: false,
  negated: false,
  cvs: false,
  xattr: false,
  senderSide: false,
  receiverSide: false,
  hidesFile: false,
  noInherit: false,
  wordSplit: false,
  bare: null,
} as const satisfies Partial<RuleText>;

/** A rule without modifiers. */
export function plainRule(action: RuleAction, pattern: Buffer): RuleText {
  return { ...PLAIN, action, pattern };
}

/** The built-in CVS list, as `-C` (1-session.md 7.8). */
export const CVS_LIST_RULE: RuleText = { ...PLAIN, action: 'hide', pattern: Buffer.alloc(0), cvs: true };

/** True when a rule only concerns the receiving side, so that a sender ignores it. */
export function isReceiverOnly(rule: RuleText): boolean {
  return rule.receiverSide && !rule.senderSide;
}

/**
 * Parses a rule of protocols below 29 and of the daemon's include and exclude parameters (7.2): `+ ` and `- ` are
 * prefixes, a lone `!` clears, all else is a pattern.
 * @param bare what a rule without prefix does.
 * @throws UsageError (exit 1) when a prefix stands alone.
 */
export function parseOldRule(line: Buffer, bare: 'hide' | 'show' = 'hide', origin: RuleOrigin = FROM_PEER): RuleText {
  if (line.length === 1 && line[0] === BANG) return plainRule('clear', Buffer.alloc(0));
  const prefix = line.toString('latin1', 0, 2);
  if (prefix !== '- ' && prefix !== '+ ') return plainRule(bare, line);
  if (line.length === 2) throw ruleError('unexpected end of filter rule', line, origin);
  return plainRule(prefix === '- ' ? 'hide' : 'show', line.subarray(2));
}

/**
 * Parses a rule of protocols from 29 on (7.3).
 * @throws UsageError (exit 1) in rsync's words.
 */
export function parseModernRule(line: Buffer, origin: RuleOrigin = FROM_PEER): RuleText {
  const { letter, next } = readType(line, origin);
  const action = ACTIONS.get(letter)!;
  let at = line[next] === COMMA ? next + 1 : next;
  if (action === 'clear') {
    if (at < line.length) throw ruleError("'!' rule has trailing characters", line, origin);
    return plainRule('clear', Buffer.alloc(0));
  }
  const draft: Draft = { ...PLAIN, action, sideFixed: /[HSPR]/.test(letter) };
  draft.senderSide = letter === 'H' || letter === 'S';
  draft.receiverSide = letter === 'P' || letter === 'R';
  for (; at < line.length && line[at] !== SPACE && line[at] !== UNDERSCORE; at++) {
    const modifier = String.fromCharCode(line[at]!);
    if (!applyModifier(draft, modifier)) throw modifierError(modifier, at, line, origin);
  }
  const { sideFixed: _, ...rule } = draft;
  return { ...rule, pattern: readPattern(draft, line.subarray(at + 1), line, origin) };
}

interface Draft extends Omit<{ -readonly [Key in keyof RuleText]: RuleText[Key] }, 'pattern'> {
  /** The type says the side already: `s`, `r` and `C` are not allowed. */
  readonly sideFixed: boolean;
}

function readType(line: Buffer, origin: RuleOrigin): { letter: string; next: number } {
  const first = line.toString('latin1', 0, 1);
  if (ACTIONS.has(first)) return { letter: first, next: 1 };
  for (const [word, letter] of WORDS) {
    if (line.toString('latin1', 0, word.length) !== word) continue;
    const after = line[word.length];
    if (after === undefined || after === COMMA || after === SPACE || after === UNDERSCORE) {
      return { letter, next: word.length };
    }
  }
  throw ruleError('Unknown filter rule', line, origin);
}

/** Notes one modifier; false when this type of rule does not take it. */
function applyModifier(draft: Draft, modifier: string): boolean {
  const merges = draft.action === 'merge' || draft.action === 'dirMerge';
  switch (modifier) {
    case '/':
      draft.absolute = true;
      return true;
    case 'p': // Only deletion looks at it.
      return true;
    case 'x':
      draft.xattr = true;
      return true;
    case '!':
      draft.negated = true;
      return !merges;
    case 's':
      draft.senderSide = true;
      return !draft.sideFixed;
    case 'r':
      draft.receiverSide = true;
      return !draft.sideFixed;
    case 'C':
      return !draft.sideFixed && applyCvs(draft, merges);
    default:
      return merges && applyMergeModifier(draft, modifier);
  }
}

function applyCvs(draft: Draft, merges: boolean): boolean {
  if (draft.bare) return false;
  draft.cvs = true;
  if (merges) {
    draft.bare = 'hide';
    draft.wordSplit = true;
    draft.noInherit = true;
  }
  return true;
}

function applyMergeModifier(draft: Draft, modifier: string): boolean {
  switch (modifier) {
    case 'e':
      draft.hidesFile = true;
      return true;
    case 'n':
      draft.noInherit = true;
      return true;
    case 'w':
      draft.wordSplit = true;
      return true;
    case '-':
    case '+':
      if (draft.bare) return false;
      draft.bare = modifier === '-' ? 'hide' : 'show';
      return true;
    default:
      return false;
  }
}

function readPattern(draft: Draft, rest: Buffer, line: Buffer, origin: RuleOrigin): Buffer {
  if (draft.cvs && (draft.action === 'hide' || draft.action === 'show')) return Buffer.alloc(0);
  if (rest.length > 0) return rest;
  if (draft.cvs) return Buffer.from('.cvsignore');
  throw ruleError('unexpected end of filter rule', line, origin);
}

function modifierError(modifier: string, at: number, line: Buffer, origin: RuleOrigin): UsageError {
  const where = origin.label === null ? ` '${printable(modifier)}' at position ${at}` : '';
  return ruleError(`invalid modifier${where} in filter rule`, line, origin);
}

/** An error about a rule, exit 1; the rule is quoted only when its origin allows it. */
export function ruleError(what: string, line: Buffer, origin: RuleOrigin): UsageError {
  // SECURITY: the peer names merge files; quoting a line of one would let it read any file of the module.
  const shown = origin.label ?? printable(line.toString('utf8', 0, QUOTED_BYTES));
  return new UsageError(`${what}: ${shown}\n`, { exit: EXIT.SYNTAX, code: 'filter-rule' });
}

/** Text with control characters (tabs excepted) as `\#ooo`, rsync's form. */
export function printable(text: string): string {
  let shown = '';
  for (const character of text) {
    const code = character.codePointAt(0)!;
    const isControl = (code < 0x20 && character !== '\t') || (code >= 0x7f && code < 0xa0);
    shown += isControl ? `\\#${code.toString(8).padStart(3, '0')}` : character;
  }
  return shown;
}
