/** How rsyncd.conf writes values: blanks, booleans, numbers and lists; the parameter tables and the reader use it. */
import { ConfigError } from '../errors.ts';

const BLANK = /[ \t\n\v\f\r]/;
const BLANKS = /[ \t\n\v\f\r]+/;

/** A rule's type with its modifiers and no pattern yet, as `-`, `-,s` or `exclude`. */
const RULE_HEAD = /^(?:[-+.:HSPR]|exclude|include|merge|dir-merge|hide|show|protect|risk)[^_]*$/;

/** The text without the blanks of the C locale at both ends; anything else, as a no-break space, stays. */
export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && BLANK.test(text[start]!)) start++;
  while (end > start && BLANK.test(text[end - 1]!)) end--;
  return text.slice(start, end);
}

/** Words between blanks. */
export function splitWords(text: string): string[] {
  return text.split(BLANKS).filter((word) => word !== '');
}

/** A list of names: between blanks and commas, or, when it begins with a comma, between commas alone. */
export function splitNames(text: string): string[] {
  const parts = text.startsWith(',') ? text.split(',').map(trimBlanks) : text.split(/[ \t\n\v\f\r,]+/);
  return parts.filter((part) => part !== '');
}

/** The words of a text with the position behind each, for lists in which one blank may belong to an element. */
class WordReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next word; empty at the end. */
  next(): string {
    while (BLANK.test(this.#text[this.#at] ?? '')) this.#at++;
    return this.#word();
  }

  /** What stands behind exactly one space: a word, or nothing when more blanks follow. Null when no space is there. */
  afterSpace(): string | null {
    if (this.#text[this.#at] !== ' ') return null;
    this.#at++;
    return this.#word();
  }

  #word(): string {
    const start = this.#at;
    while (this.#at < this.#text.length && !BLANK.test(this.#text[this.#at]!)) this.#at++;
    return this.#text.slice(start, this.#at);
  }
}

function splitRules(text: string, takesPattern: (word: string) => boolean): string[] {
  const reader = new WordReader(text);
  const rules: string[] = [];
  for (let word = reader.next(); word !== ''; word = reader.next()) {
    const pattern = takesPattern(word) ? reader.afterSpace() : null;
    rules.push(pattern === null ? word : `${word} ${pattern}`);
  }
  return rules;
}

/** `exclude` and `include`: patterns between blanks, each with an optional prefix `- ` or `+ `. */
export function splitPatterns(text: string): string[] {
  return splitRules(text, (word) => word === '-' || word === '+');
}

/**
 * `filter`: rules between blanks; the one space between a rule's type and its pattern splits nothing.
 *
 * The modifier C stands for a pattern of its own.
 */
export function splitFilterRules(text: string): string[] {
  return splitRules(text, (word) => RULE_HEAD.test(word) && !word.includes('C'));
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['yes', true],
  ['true', true],
  ['1', true],
  ['no', false],
  ['false', false],
  ['0', false],
]);

/** A boolean in any case; throws ConfigError without place for anything else, which rsync would take for the default. */
export function parseBoolean(text: string): boolean {
  const value = BOOLEANS.get(text.toLowerCase());
  if (value === undefined) {
    throw new ConfigError(`"${text}" is not a boolean: expected yes or no, true or false, 1 or 0`);
  }
  return value;
}

/** A whole number of at most nine digits, negative allowed; throws ConfigError without place. */
export function parseWhole(text: string): number {
  if (!/^-?\d{1,9}$/.test(text)) {
    throw new ConfigError(`"${text}" is not a whole number`);
  }
  return Number(text);
}
