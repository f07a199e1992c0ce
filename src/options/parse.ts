/**
 * The client's argument list, as popt would read it, over the rows of table.ts; session/ calls it once both lists are complete.
 *
 * Every argument is looked at, also after an error: the binary preamble depends on all of them (1-session.md 4.3).
 */

import { EXIT, LimitError, UsageError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { OptionDraft } from './draft.ts';
import { compileRefusals, refusedOption } from './refuse.ts';
import { ArgumentScan } from './scan.ts';
import type { CompressionRequest, ServerOptions } from './server-options.ts';
import { readOnlyError } from './values.ts';

/** What this build can do beyond plain transfers. */
export interface ServerFeatures {
  readonly compression: boolean;
  /** -X and -A; a module's `xattrs` setting. */
  readonly xattrs: boolean;
}

export interface ParseContext {
  /** Negotiated protocol, 27…32. Over a remote shell it is not known yet: pass 32. */
  readonly protocol: number;
  /** True where no shell has unescaped the first list (1-session.md 3.3). */
  readonly daemon: boolean;
  /** The list that follows -s, without its dummy first argument; null when there was none. */
  readonly secondBatch?: readonly Buffer[] | null;
  readonly features: ServerFeatures;
  /** The module's refuse_options. */
  readonly refusePatterns: readonly string[];
  readonly limits: Pick<Limits, 'args' | 'argsTotalBytes'>;
}

/**
 * Reads a client's options and paths. The first option that is refused, unknown or malformed becomes `refusal`.
 * @throws LimitError `args` or `argsTotalBytes`.
 */
export function parseServerArgs(args: readonly Buffer[], context: ParseContext): ServerOptions {
  const secluded = requestsSecludedArgs(args, context.daemon);
  const second = (secluded && context.secondBatch) || [];
  checkBounds([...args, ...second], context.limits);
  const scan = new ArgumentScan(compileRefusals(context.refusePatterns));
  scan.readBatch(args, secluded ? 'first' : 'only', context.daemon);
  if (secluded) scan.readBatch(second, 'second', false);
  return finishOptions(scan, context);
}

/** Whether a second argument list follows this one (1-session.md 3.4). `daemon` as in ParseContext. */
export function requestsSecludedArgs(args: readonly Buffer[], daemon: boolean): boolean {
  const scan = new ArgumentScan(compileRefusals([]));
  scan.readBatch(args, 'only', daemon);
  return scan.draft.secludedArgs;
}

// SECURITY: remote-shell lists do not come through session/arguments.ts, so the bounds are checked here too (CVE-2026-70456).
function checkBounds(args: readonly Buffer[], limits: ParseContext['limits']): void {
  if (args.length > limits.args) throw new LimitError('args', 'too many arguments');
  const bytes = args.reduce((sum, arg) => sum + arg.length + 1, 0);
  if (bytes > limits.argsTotalBytes) throw new LimitError('argsTotalBytes', 'argument list too long');
}

function finishOptions(scan: ArgumentScan, context: ParseContext): ServerOptions {
  const {
    compress: _,
    compressChoice: _choice,
    compressLevel: _level,
    skipSuffixes: _skip,
    mergeFiles: _count,
    ...draft
  } = scan.draft;
  const compression = compressionOf(scan.draft);
  const hasFilesFrom = draft.filesFrom !== null;
  return {
    ...draft,
    // 2.6.9 asks for a listing with --list-only alone (1-session.md 4.3).
    dirs: draft.dirs ?? (draft.listOnly || hasFilesFrom),
    relative: draft.relative ?? hasFilesFrom,
    inplace: draft.inplace || draft.appendMode > 0,
    compression,
    paths: scan.paths,
    sawDot: scan.sawDot,
    refusal: roleError(scan.draft) ?? scan.refusal ?? lateError(scan, compression, context),
  };
}

/** 3-transfer.md 7.2. */
function compressionOf(draft: OptionDraft): CompressionRequest | null {
  const { compress, compressChoice, compressLevel: level, skipSuffixes } = draft;
  if (compress === 0 && compressChoice === null && level === null) return null;
  const choice = compressChoice ?? (compress > 1 ? 'zlibx' : 'negotiate');
  return { choice, level, skipSuffixes };
}

/** Uploads are told so before anything else: no option of theirs matters (security.md A.2). */
function roleError(draft: OptionDraft): UsageError | null {
  if (!draft.server) return new UsageError('ERROR: --server is missing\n', { exit: EXIT.SYNTAX });
  return draft.sender ? null : readOnlyError();
}

/** What only the whole list shows. */
function lateError(
  scan: ArgumentScan,
  compression: CompressionRequest | null,
  context: ParseContext,
): UsageError | null {
  const { draft } = scan;
  if (!scan.sawDot) return new UsageError('ERROR: the argument list has no "."\n', { exit: EXIT.SYNTAX });
  if (compression !== null && compression.choice !== 'none' && !context.features.compression) {
    return refusedOption('compress', 'z');
  }
  if (draft.checksum && draft.checksumChoice?.list === 'none') {
    return new UsageError('Invalid checksum-choice for --checksum: none (0)\n');
  }
  return (
    (draft.acls ? attributeError('acls', 'A', context) : null) ??
    (draft.xattrs > 0 ? attributeError('xattrs', 'X', context) : null)
  );
}

function attributeError(name: string, letter: string, { features, protocol }: ParseContext): UsageError | null {
  if (!features.xattrs) return refusedOption(name, letter);
  return protocol < 30 ? protocolTooOld(name, protocol) : null;
}

function protocolTooOld(name: string, protocol: number): UsageError {
  const tell = `--${name} requires protocol 30 or higher (negotiated ${protocol}).\n`;
  return new UsageError(tell, { exit: EXIT.PROTOCOL });
}
