/** The module's own rules (1-session.md 7.6): config/ builds one per module at load, vfs' `visible` gate asks it. */

import { ConfigError, UsageError } from '../errors.ts';
import { CVS_PATTERNS } from './cvs.ts';
import { lineRules } from './merge-file.ts';
import { NamePattern, NameTarget } from './name-pattern.ts';
import { parseModernRule, parseOldRule, type RuleText } from './rule.ts';
import { NameRule } from './rule-list.ts';
import type { ModuleFilter } from './types.ts';
import { type StepLimits, StepMeter } from './wildmatch.ts';

const SLASH = 0x2f;
const CONTENTS = Buffer.from('***');
const NOTHING = Buffer.alloc(0);

/** A module's rules as the configuration gives them; each element is one rule, blanks and all. */
export interface DaemonFilterRules {
  /** Modern syntax; no merge rules. */
  readonly filter: readonly (string | Buffer)[];
  /** Patterns of the include file, already read (`patternsOfFile`). */
  readonly includeFrom: readonly (string | Buffer)[];
  readonly include: readonly (string | Buffer)[];
  /** Patterns of the exclude file, already read. */
  readonly excludeFrom: readonly (string | Buffer)[];
  readonly exclude: readonly (string | Buffer)[];
}

/** The rules of an include or exclude file: its lines without empty ones and comments. Slices of `content`. */
export function patternsOfFile(content: Buffer): Buffer[] {
  return Array.from(lineRules(content), (rule) => rule.text);
}

/** One module's list: first match wins, sides (`s`, `r`, `P`, `R`) do not matter. Immutable after construction. */
export class DaemonFilter implements ModuleFilter {
  readonly isEmpty: boolean;
  readonly hasXattrRules: boolean;
  readonly #rules: readonly NameRule[];
  readonly #xattrRules: readonly NameRule[];
  readonly #target = new NameTarget(NOTHING, 256);
  readonly #meter: StepMeter;

  /** @throws ConfigError naming the list and the rule when a rule is wrong or a merge rule. */
  constructor(lists: DaemonFilterRules, limits: Pick<StepLimits, 'wildmatchStepsPerByte'>) {
    const rules = [
      { key: 'filter', rules: lists.filter, parse: parseModernRule },
      { key: 'include_from', rules: lists.includeFrom, parse: parseInclude },
      { key: 'include', rules: lists.include, parse: parseInclude },
      { key: 'exclude_from', rules: lists.excludeFrom, parse: parseExclude },
      { key: 'exclude', rules: lists.exclude, parse: parseExclude },
    ].reduce(addList, [] as NameRule[]);
    this.#rules = rules.filter((rule) => !rule.forXattrs);
    this.#xattrRules = rules.filter((rule) => rule.forXattrs);
    this.hasXattrRules = this.#xattrRules.length > 0;
    this.isEmpty = this.#rules.every((rule) => rule.shows);
    // One name must be cheap; the operator's rules may cost a session as much as they like.
    this.#meter = new StepMeter({ ...limits, filterStepsPerName: Number.POSITIVE_INFINITY });
  }

  /** @throws LimitError `wildmatchStepsPerByte`: a rule that cannot be decided must not show the name. */
  hides(path: Buffer, isDirectory: boolean): boolean {
    if (this.isEmpty || path.length === 0) return false;
    return this.#isHiddenBy(this.#rules, path, isDirectory);
  }

  /** @throws LimitError as `hides`. */
  hidesXattr(name: Buffer): boolean {
    return this.#isHiddenBy(this.#xattrRules, name, false);
  }

  /**
   * True when a rule hides the entry or one of the directories above it.
   * @param path from the module root, clean, without outer slashes.
   * @throws LimitError as `hides`.
   */
  hidesWithParents(path: Buffer, isDirectory: boolean): boolean {
    if (this.isEmpty) return false;
    // SECURITY: `secret/` hides what is below it only by its parents when a deep path is asked for by name.
    for (let at = path.indexOf(SLASH); at >= 0; at = path.indexOf(SLASH, at + 1)) {
      if (this.hides(path.subarray(0, at), true)) return true;
    }
    return this.hides(path, isDirectory);
  }

  #isHiddenBy(rules: readonly NameRule[], name: Buffer, isDirectory: boolean): boolean {
    this.#target.set(name, isDirectory);
    for (const rule of rules) {
      if (rule.applies(this.#target, this.#meter)) return !rule.shows;
    }
    return false;
  }
}

interface KeyedList {
  readonly key: string;
  readonly rules: readonly (string | Buffer)[];
  readonly parse: (line: Buffer) => RuleText;
}

function parseInclude(line: Buffer): RuleText {
  return parseOldRule(line, 'show');
}

function parseExclude(line: Buffer): RuleText {
  return parseOldRule(line, 'hide');
}

/** Appends one list of the configuration; a `!` clears what came before, other lists included. */
function addList(known: NameRule[], list: KeyedList): NameRule[] {
  let rules = known;
  for (const [index, line] of list.rules.entries()) {
    const rule = parseConfigured(list, index, Buffer.from(line));
    if (rule.action === 'clear') rules = [];
    else if (rule.cvs) rules.push(...CVS_PATTERNS.map((pattern) => bind({ ...rule, pattern })));
    else rules.push(bind(rule));
  }
  return rules;
}

function parseConfigured(list: KeyedList, index: number, line: Buffer): RuleText {
  const place = `${list.key}, rule ${index + 1}`;
  if (line.length === 0 || line.includes(0)) throw new ConfigError(`${place}: a rule must not be empty or hold NUL`);
  const rule = parseOrExplain(list, line, place);
  if (rule.action === 'merge' || rule.action === 'dirMerge') {
    throw new ConfigError(`${place}: merge rules are not allowed in a module`);
  }
  return rule;
}

function parseOrExplain(list: KeyedList, line: Buffer, place: string): RuleText {
  try {
    return list.parse(line);
  } catch (error) {
    if (error instanceof UsageError) throw new ConfigError(`${place}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** An exclude rule ending in a slash hides the contents, too: they may be asked for by name (trap 30). */
function bind(rule: RuleText): NameRule {
  const endsInSlash = rule.pattern.length > 1 && rule.pattern.at(-1) === SLASH;
  const pattern = endsInSlash && rule.action !== 'show' ? Buffer.concat([rule.pattern, CONTENTS]) : rule.pattern;
  return new NameRule(new NamePattern(pattern, true), rule);
}
