/** What file-list building needs of filters; list.ts and daemon.ts make the implementations. */

/**
 * Reads a per-directory merge file.
 * @param path path from the module root, without leading slash.
 * @returns its bytes, or null when it does not exist, is hidden, is no regular file or lies behind a link.
 */
export type MergeReader = (path: Buffer) => Buffer | null;

/** The client's rules as they stand in one directory of the transfer. Immutable: sub-directories get their own. */
export interface FilterScope {
  /** True when no rule can hide anything below, so that callers may skip every test. */
  readonly isEmpty: boolean;
  /**
   * The scope for the entries of a directory, its merge files read (1-session.md 7.7).
   * @param name wire name of that directory; `.` (or empty) for the transfer root.
   */
  enter(name: Buffer): FilterScope;
  /**
   * True when the rules hide an entry (1-session.md 7.4).
   * @param name wire name as it would stand in the file list, without leading slash.
   */
  hides(name: Buffer, isDirectory: boolean): boolean;
  /** True when a rule with the modifier `x` is in force: such rules replace the usual choice of attributes. */
  readonly hasXattrRules: boolean;
  /** True when the rules with the modifier `x` hide an extended attribute of this name. */
  hidesXattr(name: Buffer): boolean;
}

/** A whole filter list, ready for the arguments of one session. */
export interface SessionFilter {
  /** True when there is no rule at all. */
  readonly isEmpty: boolean;
  /**
   * The scope in force at one argument's transfer root.
   * @param basePath path of the transfer root from the module root; empty for the root itself.
   * @param readMerge gives the content of merge files.
   */
  rootScope(basePath: Buffer, readMerge: MergeReader): FilterScope;
}

/** The module's own rules (1-session.md 7.6): what they hide does not exist for any client. */
export interface ModuleFilter {
  readonly isEmpty: boolean;
  /** True when the entry itself is hidden by a rule; parents are the caller's business. `path` is from the module root. */
  hides(path: Buffer, isDirectory: boolean): boolean;
  /** True when a rule hides the entry or one of the directories above it. */
  hidesWithParents(path: Buffer, isDirectory: boolean): boolean;
  /** As in FilterScope. */
  readonly hasXattrRules: boolean;
  hidesXattr(name: Buffer): boolean;
}
