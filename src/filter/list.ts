/** The client's filter list (1-session.md 7): session/ feeds it the received records, flist/ asks its scopes. */

import { Bug, LimitError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { cutAtNul } from './merge-file.ts';
import { NameTarget } from './name-pattern.ts';
import { CVS_LIST_RULE, parseModernRule, parseOldRule, type RuleText } from './rule.ts';
import { type DirMerge, type ListedRule, type NameRule, prepareRule, RuleListBuilder } from './rule-list.ts';
import { DirectoryScope } from './scope.ts';
import type { FilterScope, MergeReader, SessionFilter } from './types.ts';
import { StepMeter } from './wildmatch.ts';

/** First protocol whose records have types and modifiers. */
const MODERN_PROTOCOL = 29;

const NOTHING = Buffer.alloc(0);

export interface ClientFilterOptions {
  readonly protocol: number;
  readonly limits: Limits;
  /** The letter `C` stood in the option bundle. */
  readonly cvsLetter: boolean;
}

/** A rule as it came, and prepared: the list is put together all at once, and its patterns may take a tenth of a second by then. */
interface Received {
  readonly rule: RuleText;
  readonly prepared: NameRule | null;
}

interface Assembled {
  readonly rules: readonly ListedRule[];
  readonly merges: readonly DirMerge[];
  readonly ruleCount: number;
}

/** One session's rules. Add everything, call `finish`, then ask for scopes. */
export class ClientFilterList implements SessionFilter {
  readonly #options: ClientFilterOptions;
  readonly #meter: StepMeter;
  /** Rules given as options stand before the received ones. */
  #optionRules: Received[] = [];
  #records: Received[] = [];
  #bytes = 0;
  #finished = false;
  #isEmpty = false;
  #assembled: Assembled | null = null;

  constructor(options: ClientFilterOptions) {
    this.#options = options;
    this.#meter = new StepMeter(options.limits);
  }

  /**
   * Adds one record of the filter list, without its length.
   * @param record kept: the caller must not change it afterwards.
   * @throws UsageError (exit 1) in rsync's words; LimitError `filterRecordBytes`, `filterPatternBytes`, `filterBytes`,
   *   `filterRules`.
   */
  addRecord(record: Buffer): void {
    const modern = this.#options.protocol >= MODERN_PROTOCOL;
    this.#collect(record, this.#records, modern ? parseModernRule : parseOldRule);
  }

  /**
   * Adds one rule that was given as an option, in modern syntax; such rules come before the received list.
   * @throws as `addRecord`.
   */
  addOptionRule(rule: Buffer): void {
    this.#collect(rule, this.#optionRules, parseModernRule);
  }

  /** True when there is no rule at all; known when the list is finished. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** Ends the list: the letter `C` puts its rules after all others (7.8). */
  finish(): void {
    if (this.#options.cvsLetter && !this.#finished) {
      for (const rule of [parseModernRule(Buffer.from(':C')), CVS_LIST_RULE])
        this.#records.push({ rule, prepared: null });
    }
    this.#isEmpty = this.#optionRules.length === 0 && this.#records.length === 0;
    this.#finished = true;
  }

  /**
   * The scope at one argument's transfer root. Single merge rules (`. FILE`) are read here, at the first call, by its
   * reader: the reader must be the same module's for every call.
   * @throws UsageError (exit 11) when such a file cannot be read, (exit 1) when it holds a bad rule; LimitError as
   *   RuleListBuilder.addContent.
   */
  rootScope(basePath: Buffer, readMerge: MergeReader): FilterScope {
    if (!this.#finished) throw new Bug('a filter list is used before its end');
    this.#assembled ??= this.#assemble(readMerge);
    const { rules, merges, ruleCount } = this.#assembled;
    const { limits } = this.#options;
    // Most names are far shorter than a path may be; a longer one makes the scratch space grow.
    const target = new NameTarget(basePath, 256);
    return new DirectoryScope({ limits, basePath, readMerge, rules, ruleCount, target, meter: this.#meter }, merges);
  }

  #collect(record: Buffer, rules: Received[], parse: (line: Buffer) => RuleText): void {
    if (this.#finished) throw new Bug('a filter rule after the end of its list');
    const { limits } = this.#options;
    if (record.length > limits.filterRecordBytes)
      throw new LimitError('filterRecordBytes', 'a filter rule is too long');
    this.#bytes += record.length;
    if (this.#bytes > limits.filterBytes) throw new LimitError('filterBytes', 'the filter rules are too long');
    const line = cutAtNul(record);
    if (line.length === 0) return;
    const rule = parse(line);
    if (rule.pattern.length > limits.filterPatternBytes) {
      throw new LimitError('filterPatternBytes', 'a filter pattern is too long');
    }
    rules.push({ rule, prepared: prepareRule(rule) });
    if (this.#records.length + this.#optionRules.length > limits.filterRules) {
      throw new LimitError('filterRules', 'too many filter rules');
    }
  }

  #assemble(readMerge: MergeReader): Assembled {
    const { limits } = this.#options;
    const merges: DirMerge[] = [];
    const context = { limits, room: limits.filterRules, readMerge, mergeBase: NOTHING, directory: null, merges };
    const builder = new RuleListBuilder(context);
    for (const { rule, prepared } of [...this.#optionRules, ...this.#records]) builder.add(rule, prepared);
    this.#optionRules = [];
    this.#records = [];
    return { rules: builder.rules, merges, ruleCount: builder.count };
  }
}
