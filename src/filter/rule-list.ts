/** Rules bound to a place and ready to be evaluated, and the builder of their lists; list.ts, scope.ts, daemon.ts call it. */

import { EXIT, LimitError, UsageError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { CVS_PATTERNS } from './cvs.ts';
import { cleanPath, lineRules, wordRules } from './merge-file.ts';
import { NamePattern, type NameTarget } from './name-pattern.ts';
import {
  FROM_PEER,
  isReceiverOnly,
  parseModernRule,
  plainRule,
  printable,
  type RuleOrigin,
  type RuleText,
  ruleError,
} from './rule.ts';
import type { MergeReader } from './types.ts';
import type { StepMeter } from './wildmatch.ts';

const SLASH = 0x2f;
const SLASH_BYTES = Buffer.from('/');

/** One include or exclude rule. */
export class NameRule {
  /** What a match means: include or exclude. */
  readonly shows: boolean;
  /** Modifier `x`: the rule is about names of extended attributes and never about files. */
  readonly forXattrs: boolean;
  readonly #pattern: NamePattern;
  readonly #negated: boolean;

  constructor(pattern: NamePattern, rule: Pick<RuleText, 'action' | 'negated' | 'xattr'>) {
    this.#pattern = pattern;
    this.shows = rule.action === 'show';
    this.forXattrs = rule.xattr;
    this.#negated = rule.negated;
  }

  /**
   * True when the rule decides about the target.
   * @throws LimitError as Wildmatch.matches.
   */
  applies(target: NameTarget, meter: StepMeter): boolean {
    return this.#pattern.matches(target, meter) !== this.#negated;
  }
}

/** How the rules of a merge file are written, and what they inherit from the merge rule. */
export interface MergeFormat {
  readonly wordSplit: boolean;
  readonly bare: 'hide' | 'show' | null;
  /** A bare `!` clears (modifier `C`). */
  readonly clearWord: boolean;
  readonly absolute: boolean;
  /** Its `/` rules are anchored at the file's directory: true for per-directory files, not for what they merge. */
  readonly anchored: boolean;
  /** The merge rule names a side, so that its rules must not. */
  readonly sided: boolean;
}

/** A per-directory merge rule. In a list it stands for the rules that its files gave so far (1-session.md 7.7). */
export interface DirMerge {
  /** Place among the merge rules of its scope. */
  readonly slot: number;
  /** Name of the file in each directory, one component. */
  readonly fileName: Buffer;
  /** Directory of the file that held the rule; null for the session's own rules. */
  readonly home: Buffer | null;
  /** Directory part of the rule, often empty: where the scan of parent directories begins. */
  readonly scanFrom: Buffer;
  readonly inherits: boolean;
  readonly format: MergeFormat;
}

export type ListedRule = NameRule | DirMerge;

/** Where a list of rules stands. */
export interface BuildContext {
  readonly limits: Limits;
  /** Most rules that this list may hold. */
  readonly room: number;
  readonly readMerge: MergeReader;
  /** Directory that single merges are relative to. */
  readonly mergeBase: Buffer;
  /** Directory of the merge file; null for the session's own rules. */
  readonly directory: Buffer | null;
  /** Merge rules in force; new ones are appended. */
  readonly merges: DirMerge[];
}

/** Format of the rules that came over the wire. */
const WIRE_FORMAT: MergeFormat = {
  wordSplit: false,
  bare: null,
  clearWord: false,
  absolute: false,
  anchored: false,
  sided: false,
};

/** A rule that the peer sent, prepared for matching as far as that can be; null when it stands for other rules or for none. */
export function prepareRule(rule: RuleText): NameRule | null {
  const isName = (rule.action === 'hide' || rule.action === 'show') && !rule.cvs && rule.pattern.length > 0;
  return isName && !isReceiverOnly(rule) ? new NameRule(new NamePattern(rule.pattern, rule.absolute), rule) : null;
}

/** Collects the rules of one list in order. */
export class RuleListBuilder {
  #rules: ListedRule[] = [];
  /** A `!` was met: nothing is inherited either. */
  cleared = false;
  /** Rules seen, whatever became of them; what limits.filterRules counts. */
  count = 0;
  readonly #context: BuildContext;
  readonly #firstMerge: number;
  #fileBytes = 0;
  #files = 0;

  constructor(context: BuildContext) {
    this.#context = context;
    this.#firstMerge = context.merges.length;
  }

  get rules(): readonly ListedRule[] {
    return this.#rules;
  }

  /**
   * Adds one rule that the peer sent.
   * @param prepared what prepareRule made of it.
   * @throws LimitError and UsageError, as `addContent`.
   */
  add(rule: RuleText, prepared: NameRule | null): void {
    if (prepared === null) {
      this.#add(rule, WIRE_FORMAT, FROM_PEER, 0);
      return;
    }
    this.#countRules(1);
    this.#rules.push(prepared);
  }

  /**
   * Adds the rules of a merge file.
   * @param path from the module root, for error texts.
   * @throws UsageError (exit 1) for a bad rule, with file and line but never the content; (exit 11) when a single merge
   *   cannot be read; LimitError `filterRules`, `filterBytes`, `mergeFileBytes`, `mergeDepth`, `mergeRules`.
   */
  addContent(content: Buffer, format: MergeFormat, path: Buffer, depth = 0): void {
    const { limits } = this.#context;
    if (content.length > limits.mergeFileBytes) throw new LimitError('mergeFileBytes', 'a merge file is too large');
    this.#fileBytes += content.length;
    if (this.#fileBytes > limits.filterBytes) throw new LimitError('filterBytes', 'the merge files are too large');
    const pathText = printable(path.toString('utf8'));
    const unit = format.wordSplit ? 'word' : 'line';
    for (const { text, number } of format.wordSplit ? wordRules(content) : lineRules(content)) {
      // Like rsync, drop what cannot be the name of anything.
      if (text.length > limits.filterPatternBytes) continue;
      const origin = { label: `<rule from ${pathText} ${unit} ${number}>` };
      this.#add(parseFileRule(text, format, origin), format, origin, depth);
    }
  }

  #add(rule: RuleText, format: MergeFormat, origin: RuleOrigin, depth: number): void {
    this.#countRules(1);
    if (rule.action === 'clear') {
      this.#clear();
      return;
    }
    if (format.sided && (rule.senderSide || rule.receiverSide)) {
      throw ruleError('specified-side merge file contains specified-side filter', rule.pattern, origin);
    }
    const isMerge = rule.action === 'merge' || rule.action === 'dirMerge';
    if (isMerge && rule.hidesFile) this.#pushName(plainRule('hide', baseName(rule.pattern)), format);
    if (isReceiverOnly(rule)) return;
    if (rule.action === 'dirMerge') this.#pushDirMerge(rule, format);
    else if (rule.action === 'merge') this.#addFile(rule, format, origin, depth);
    else if (rule.cvs) this.#pushCvs(rule, format);
    else this.#pushName(rule, format);
  }

  #countRules(count: number): void {
    this.count += count;
    if (this.count > this.#context.room) throw new LimitError('filterRules', 'too many filter rules');
  }

  #clear(): void {
    this.#rules = [];
    this.cleared = true;
    // Merge rules of this list are forgotten with it; those of other lists stay in force.
    this.#context.merges.length = this.#firstMerge;
  }

  #pushName(rule: RuleText, format: MergeFormat): void {
    const { directory } = this.#context;
    let pattern = rule.pattern;
    if (pattern.length === 0) return;
    let absolute = rule.absolute || format.absolute;
    if (format.anchored && directory !== null && !absolute && pattern[0] === SLASH) {
      // rsync, too, puts the directory in front as it is: wildcard characters in its name stay special.
      absolute = true;
      if (directory.length > 0) pattern = Buffer.concat([SLASH_BYTES, directory, pattern]);
    }
    this.#rules.push(new NameRule(new NamePattern(pattern, absolute), rule));
  }

  #pushCvs(rule: RuleText, format: MergeFormat): void {
    this.#countRules(CVS_PATTERNS.length);
    for (const pattern of CVS_PATTERNS) this.#pushName({ ...rule, pattern }, format);
  }

  #pushDirMerge(rule: RuleText, format: MergeFormat): void {
    const { merges, limits, directory } = this.#context;
    const fileName = baseName(rule.pattern);
    // SECURITY: a `..` here would read a directory above the one that is filtered.
    if (['', '.', '..'].includes(fileName.toString('latin1'))) return;
    if (merges.some((merge) => merge.fileName.equals(fileName))) return;
    // SECURITY: every merge rule opens a file in every directory of the transfer.
    if (merges.length >= limits.mergeRules) throw new LimitError('mergeRules', 'too many merge rules');
    const merge: DirMerge = {
      slot: merges.length,
      fileName,
      home: directory,
      scanFrom: rule.pattern.subarray(0, rule.pattern.length - fileName.length),
      inherits: !rule.noInherit,
      format: formatOf(rule, format),
    };
    merges.push(merge);
    this.#rules.push(merge);
  }

  /** A single merge: the rules of the file stand in place of the rule. */
  #addFile(rule: RuleText, format: MergeFormat, origin: RuleOrigin, depth: number): void {
    const { limits, mergeBase, readMerge } = this.#context;
    // SECURITY: a file that merges itself must end the session, not the process.
    if (depth >= limits.mergeDepth) throw new LimitError('mergeDepth', 'merge files are nested too deeply');
    if (++this.#files > limits.mergeRules) throw new LimitError('mergeRules', 'too many merge files');
    const path = cleanPath(mergeBase, rule.pattern);
    const content = path.length === 0 ? null : readMerge(path);
    if (content === null) {
      const shown = origin.label ?? `${printable(rule.pattern.toString('utf8'))}: No such file or directory (2)`;
      throw new UsageError(`failed to open exclude file ${shown}\n`, { exit: EXIT.FILE_IO, code: 'filter-merge' });
    }
    this.addContent(content, formatOf(rule, format), path, depth + 1);
  }
}

function parseFileRule(text: Buffer, format: MergeFormat, origin: RuleOrigin): RuleText {
  if (format.bare === null) return parseModernRule(text, origin);
  const clears = format.clearWord && text.length === 1 && text[0] === 0x21;
  return plainRule(clears ? 'clear' : format.bare, text);
}

/** What the rules of a merge rule's files inherit from it and from the file that it stands in. */
function formatOf(rule: RuleText, outer: MergeFormat): MergeFormat {
  return {
    wordSplit: rule.wordSplit,
    bare: rule.bare,
    clearWord: rule.cvs,
    absolute: rule.absolute || outer.absolute,
    anchored: rule.action === 'dirMerge',
    sided: rule.senderSide || rule.receiverSide || outer.sided,
  };
}

function baseName(path: Buffer): Buffer {
  return path.subarray(path.lastIndexOf(SLASH) + 1);
}
