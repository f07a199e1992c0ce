/** The client's rules in one directory, merge files included (1-session.md 7.7); list.ts makes the transfer root's. */

import type { Limits } from '../limits.ts';
import { cleanPath, directoriesBetween, joinPath } from './merge-file.ts';
import type { NameTarget } from './name-pattern.ts';
import { type DirMerge, type ListedRule, NameRule, RuleListBuilder } from './rule-list.ts';
import type { FilterScope, MergeReader } from './types.ts';
import type { StepMeter } from './wildmatch.ts';

const HIDDEN = -1;
const UNDECIDED = 0;
const SHOWN = 1;

/** What all scopes below one transfer root share. */
export interface ScopeContext {
  readonly limits: Limits;
  /** Path of the transfer root from the module root. */
  readonly basePath: Buffer;
  readonly readMerge: MergeReader;
  readonly rules: readonly ListedRule[];
  /** Rules of the session's own list, as limits.filterRules counts them. */
  readonly ruleCount: number;
  /** Scratch space of `hides`, which is synchronous. */
  readonly target: NameTarget;
  readonly meter: StepMeter;
}

/** What the files of one merge rule gave from some directory up. */
interface Sublist {
  readonly rules: readonly ListedRule[];
  readonly parent: Sublist | null;
  /** Rules of this and all parents. */
  readonly count: number;
}

/** A scope being made. */
interface Draft {
  /** The directory that is entered. */
  readonly directory: Buffer;
  readonly merges: DirMerge[];
  /** Rules that may still be added. */
  room: number;
}

export class DirectoryScope implements FilterScope {
  readonly isEmpty: boolean;
  readonly #context: ScopeContext;
  readonly #merges: readonly DirMerge[];
  /** What each merge rule stands for here, by slot; null in the transfer root's scope before any directory was entered. */
  readonly #sublists: readonly (Sublist | null)[] | null;
  /** Null until somebody asks: most sessions never do. */
  #hasXattrRules: boolean | null = null;

  constructor(context: ScopeContext, merges: readonly DirMerge[], sublists: readonly (Sublist | null)[] | null = null) {
    this.#context = context;
    this.#merges = merges;
    this.#sublists = sublists;
    this.isEmpty = context.rules.every((rule) => rule instanceof NameRule && (rule.shows || rule.forXattrs));
  }

  /**
   * Reads the merge files of a directory; returns this scope itself when they change nothing.
   * @throws UsageError and LimitError as RuleListBuilder.addContent.
   */
  enter(name: Buffer): FilterScope {
    if (this.#merges.length === 0) return this;
    const directory = cleanPath(this.#context.basePath, name);
    const draft: Draft = { directory, merges: [...this.#merges], room: this.#room() };
    const sublists: (Sublist | null)[] = [];
    // Files may append merge rules, which are read in this directory, too.
    for (let slot = 0; slot < draft.merges.length; slot++) {
      const merge = draft.merges[slot]!;
      sublists.push(this.#readFile(merge, directory, this.#inherited(merge, draft), draft));
    }
    const changed = sublists.some((sublist, slot) => sublist !== this.#sublists?.[slot]);
    return changed ? new DirectoryScope(this.#context, draft.merges, sublists) : this;
  }

  /** @throws LimitError `wildmatchStepsPerByte`, `filterStepsPerName`. */
  hides(name: Buffer, isDirectory: boolean): boolean {
    if (this.isEmpty) return false;
    return this.#hides(name, isDirectory, false);
  }

  get hasXattrRules(): boolean {
    this.#hasXattrRules ??= [this.#context.rules, ...rulesOfFiles(this.#sublists ?? [])].some(holdsXattrRule);
    return this.#hasXattrRules;
  }

  /** @throws LimitError as `hides`. */
  hidesXattr(name: Buffer): boolean {
    return this.hasXattrRules && this.#hides(name, false, true);
  }

  #hides(name: Buffer, isDirectory: boolean, isXattr: boolean): boolean {
    const { target, meter, rules } = this.#context;
    meter.beginName();
    target.set(name, isDirectory);
    return this.#verdict(rules, isXattr) === HIDDEN;
  }

  /** First match wins; a merge rule stands for its own rules, nearest directory first. */
  #verdict(rules: readonly ListedRule[], isXattr: boolean): number {
    const { target, meter } = this.#context;
    for (const rule of rules) {
      if (rule instanceof NameRule) {
        if (rule.forXattrs === isXattr && rule.applies(target, meter)) return rule.shows ? SHOWN : HIDDEN;
        continue;
      }
      const verdict = this.#sublistVerdict(rule, isXattr);
      if (verdict !== UNDECIDED) return verdict;
    }
    return UNDECIDED;
  }

  #sublistVerdict(merge: DirMerge, isXattr: boolean): number {
    for (let sublist = this.#sublists?.[merge.slot] ?? null; sublist; sublist = sublist.parent) {
      const verdict = this.#verdict(sublist.rules, isXattr);
      if (verdict !== UNDECIDED) return verdict;
    }
    return UNDECIDED;
  }

  #room(): number {
    let room = this.#context.limits.filterRules - this.#context.ruleCount;
    for (const sublist of this.#sublists ?? []) room -= sublist?.count ?? 0;
    return room;
  }

  /** The sublist that a directory's own file is put in front of. */
  #inherited(merge: DirMerge, draft: Draft): Sublist | null {
    if (!merge.inherits) return null;
    const known = this.#sublists?.[merge.slot];
    if (known !== undefined) return known;
    // First use: a rule with a directory part, or from a file further up, is looked for in the directories above.
    const { directory } = draft;
    const top = cleanPath(merge.home ?? directory, merge.scanFrom);
    let sublist: Sublist | null = null;
    for (const parent of directoriesBetween(top, directory)) sublist = this.#readFile(merge, parent, sublist, draft);
    return sublist;
  }

  #readFile(merge: DirMerge, directory: Buffer, inherited: Sublist | null, draft: Draft): Sublist | null {
    const { limits, basePath, readMerge } = this.#context;
    const path = joinPath(directory, merge.fileName);
    const content = readMerge(path);
    if (content === null) return inherited;
    const { merges, room } = draft;
    // Single merges in such a file: rsync's working directory is the transfer root, but the scan of parents changes it.
    const mergeBase = directory === draft.directory ? basePath : directory;
    const builder = new RuleListBuilder({ limits, room, readMerge, mergeBase, directory, merges });
    builder.addContent(content, merge.format, path);
    draft.room -= builder.count;
    const parent = builder.cleared ? null : inherited;
    if (builder.rules.length === 0) return parent;
    return { rules: builder.rules, parent, count: builder.count + (parent?.count ?? 0) };
  }
}

/** The rule lists of merge files in force, nearest directory first. */
function* rulesOfFiles(sublists: readonly (Sublist | null)[]): Generator<readonly ListedRule[]> {
  for (const first of sublists) {
    for (let sublist = first; sublist; sublist = sublist.parent) yield sublist.rules;
  }
}

function holdsXattrRule(rules: readonly ListedRule[]): boolean {
  return rules.some((rule) => rule instanceof NameRule && rule.forXattrs);
}
