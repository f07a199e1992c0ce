/** Walks an argument list as popt does, over the rows of table.ts, and remembers the first thing that is wrong; parse.ts uses it. */

import { UsageError } from '../errors.ts';
import { emptyDraft, type OptionDraft } from './draft.ts';
import { type RefusalRules, refusedOption } from './refuse.ts';
import { type OptionRow, ROWS_BY_LETTER, ROWS_BY_NAME } from './table.ts';
import { badArgument, parseInt32 } from './values.ts';

const BACKSLASH = 0x5c;
const DASH = 0x2d;
const DOT = Buffer.from('.');
const DOUBLE_DASH = Buffer.from('--');
const EQUALS = 0x3d;
const EMPTY = Buffer.alloc(0);

/** Which list is read: the only one, or one of the two that -s makes (1-session.md 3.4). */
export type Batch = 'only' | 'first' | 'second';

interface FoundOption {
  readonly argument: Buffer;
  /** Long name as spelled, with `no-`; the row's name for letters. */
  readonly name: string;
  /** The value in the same argument, or null. */
  readonly attached: Buffer | null;
  readonly negated: boolean;
}

/** One client's lists on their way into a draft. */
export class ArgumentScan {
  readonly draft: OptionDraft = emptyDraft();
  /** The first option that is refused, unknown or malformed. */
  refusal: UsageError | null = null;
  /** Everything after the lone `.`, as it came. */
  paths: readonly Buffer[] = [];
  sawDot = false;
  readonly #rules: RefusalRules;
  #args: readonly Buffer[] = [];
  #next = 0;
  #isEscaped = false;
  #batch: Batch = 'only';

  constructor(rules: RefusalRules) {
    this.#rules = rules;
  }

  /** @param isEscaped whether clients have escaped this list for a shell that it never met. */
  readBatch(args: readonly Buffer[], batch: Batch, isEscaped: boolean): void {
    this.#args = args;
    this.#next = 0;
    this.#batch = batch;
    this.#isEscaped = isEscaped;
    let optionsEnded = false;
    while (this.#next < args.length) {
      const argument = this.#take();
      if (argument.equals(DOT)) {
        this.#takePaths();
        return;
      }
      if (optionsEnded || argument.length < 2 || argument[0] !== DASH) this.#readStray(argument);
      else if (argument.equals(DOUBLE_DASH)) optionsEnded = true;
      else this.#guard(() => (argument[1] === DASH ? this.#readLong(argument) : this.#readBundle(argument)));
    }
  }

  #take(): Buffer {
    const raw = this.#args[this.#next++]!;
    return this.#isEscaped ? unescapeArgument(raw) : raw;
  }

  /** Protocols below 30 append `(null)`, `.` and the paths to a first list; the second list has the real ones. */
  #takePaths(): void {
    if (this.#batch === 'first') return;
    this.sawDot = true;
    this.paths = this.#args.slice(this.#next);
  }

  #readStray(argument: Buffer): void {
    if (this.#batch === 'first') return;
    this.refusal ??= badArgument(argument, 'argument before the lone "."');
  }

  #guard(read: () => void): void {
    try {
      read();
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      this.refusal ??= error;
    }
  }

  #readLong(argument: Buffer): void {
    const equals = argument.indexOf(EQUALS);
    const name = argument.toString('latin1', 2, equals < 0 ? argument.length : equals);
    const attached = equals < 0 ? null : argument.subarray(equals + 1);
    const row = ROWS_BY_NAME.get(name);
    const opposite = row === undefined && name.startsWith('no-') ? findNegatable(name.slice(3)) : undefined;
    const found = row ?? opposite;
    if (found === undefined) throw badArgument(argument, 'unknown option');
    this.#readOption(found, { argument, name, attached, negated: opposite !== undefined });
  }

  /**
   * popt gives up on a bundle at its first unknown letter; the capabilities behind it still matter to the preamble.
   *
   * SECURITY: an error costs a hundred times what a letter does, so only the first one is made.
   */
  #readBundle(argument: Buffer): void {
    for (let at = 1; at < argument.length; at++) {
      const row = ROWS_BY_LETTER.get(String.fromCharCode(argument[at]!));
      const takesValue = row !== undefined && row.value !== 'none';
      const rest = argument.subarray(argument[at + 1] === EQUALS ? at + 2 : at + 1);
      const attached = takesValue && at + 1 < argument.length ? rest : null;
      if (row === undefined) this.refusal ??= badArgument(argument, 'unknown option');
      else this.#guard(() => this.#readOption(row, { argument, name: row.name, attached, negated: false }));
      if (takesValue) return;
    }
  }

  /** Consumes the value first: an option that is refused still takes its value along. */
  #readOption(row: OptionRow, found: FoundOption): void {
    const { argument, attached, negated, name } = found;
    const takesValue = row.value !== 'none' && !negated;
    if (!takesValue && attached !== null) throw badArgument(argument, 'option does not take an argument');
    const isSeparate = takesValue && attached === null;
    if (isSeparate && this.#next >= this.#args.length) throw badArgument(argument, 'missing argument');
    const text = isSeparate ? this.#take() : (attached ?? EMPTY);
    if (this.#isForbidden(row, found)) {
      this.refusal ??= this.#forbidden(row);
      return;
    }
    this.refusal ??= this.#moduleRefusal(row, found);
    if (!this.#isInForce(row)) return;
    const number = row.value === 'int' && takesValue ? parseInt32(text, isSeparate ? text : argument) : 0;
    row.apply?.(this.draft, { text, number, negated, spelling: name === '' ? `-${row.letter}` : `--${name}` });
  }

  /** Whether this build refuses the option here, whatever the operator says. */
  #isForbidden(row: OptionRow, { negated }: FoundOption): boolean {
    if (row.refusal !== null && !negated) return true;
    // SECURITY: the second list once carried switches past the checks of the first (CVE-2018-5764): it cannot change the role.
    return this.#batch === 'second' && (isRole(row) || isSecluded(row));
  }

  #forbidden(row: OptionRow): UsageError {
    if (row.refusal !== null) return new UsageError(row.refusal.tell, { exit: row.refusal.exit });
    return refusedOption(row.name, row.letter);
  }

  /** What the operator refuses still counts for the preamble, without which no error text arrives (1-session.md 4.4). */
  #moduleRefusal(row: OptionRow, { name, negated }: FoundOption): UsageError | null {
    const letter = negated ? '' : row.letter;
    const isRefused = this.#rules.refuses(name, letter) || (negated && this.#rules.refuses(`no-${row.name}`, ''));
    if (isRefused) return refusedOption(name, letter);
    const implied = negated ? undefined : row.implies.find((each) => this.#rules.refuses(each, letterOf(each)));
    return implied === undefined ? null : refusedOption(implied, letterOf(implied));
  }

  /** With -s, long options of the first list come again in the second: they must not count twice. */
  #isInForce(row: OptionRow): boolean {
    return this.#batch !== 'first' || isRole(row) || isSecluded(row) || row.letter !== '';
  }
}

function isRole(row: OptionRow): boolean {
  return row.name === 'server' || row.name === 'sender';
}

function isSecluded(row: OptionRow): boolean {
  return row.name === 'secluded-args' || row.name === 'protect-args';
}

function letterOf(name: string): string {
  return ROWS_BY_NAME.get(name)?.letter ?? '';
}

/** --no-NAME, or --no-X with a letter. */
function findNegatable(name: string): OptionRow | undefined {
  const row = ROWS_BY_NAME.get(name) ?? ROWS_BY_LETTER.get(name);
  return row?.negatable === true ? row : undefined;
}

/** Clients from 3.2.4 on escape option values for a shell; 3.5.0 removes one level (1-session.md 3.3). */
function unescapeArgument(argument: Buffer): Buffer {
  if (!argument.includes(BACKSLASH)) return argument;
  const plain = Buffer.alloc(argument.length);
  let length = 0;
  for (let at = 0; at < argument.length; at++) {
    if (argument[at] === BACKSLASH && at + 1 < argument.length) at++;
    plain[length++] = argument[at]!;
  }
  return plain.subarray(0, length);
}
