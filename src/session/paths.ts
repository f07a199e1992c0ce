/** Path arguments as the file list wants them: prefix off, old-style lists split, cleaned (1-session.md 3.3 steps 1 to 3). */

import { EXIT, UsageError } from '../errors.ts';
import { quoteArgument } from '../options/values.ts';
import { isDotDot } from '../vfs/path.ts';

const SLASH = 0x2f;
const DOT_BYTE = 0x2e;
const SLASH_BYTES = Buffer.from('/');

export interface PathContext {
  /** The module's name; null over a remote shell, where paths are the file system's own. */
  readonly module: Buffer | null;
  readonly relative: boolean;
  /** With -s every argument is one path. */
  readonly secludedArgs: boolean;
}

/** One path to transfer. */
export interface SourcePath {
  /**
   * Path from the module root: no leading slash, no empty component, no `..`; empty for the root itself. A trailing slash asks
   * for the directory's contents. With `relative`, one `./` in front or `/./` inside says where the sent names begin.
   * Over a remote shell a leading slash and `..` stay.
   */
  readonly text: Buffer;
}

/**
 * Splits and cleans path arguments, in order. No arguments mean the root.
 * @throws UsageError (exit 1) for `..` under --relative over a remote shell.
 */
export function preparePaths(args: readonly Buffer[], context: PathContext): SourcePath[] {
  const { module, relative } = context;
  if (module === null) return orRoot(args.map((arg) => ({ text: cleanShellPath(arg, relative) })));
  const separator = context.secludedArgs ? null : Buffer.concat([Buffer.from(' '), module, SLASH_BYTES]);
  return orRoot(
    args.flatMap((arg) => splitArgument(arg, module, separator)).map((arg) => ({ text: cleanPath(arg, relative) })),
  );
}

function orRoot(paths: SourcePath[]): SourcePath[] {
  return paths.length > 0 ? paths : [{ text: Buffer.alloc(0) }];
}

/** Clients up to 3.0 join several sources as `mod/a mod/b`; the first may be the bare `mod`. @param separator null with -s. */
function splitArgument(arg: Buffer, module: Buffer, separator: Buffer | null): Buffer[] {
  if (separator === null) return [stripModule(arg, module)];
  const pieces: Buffer[] = [];
  let start = 0;
  for (let at = arg.indexOf(separator); at >= 0; at = arg.indexOf(separator, start)) {
    pieces.push(arg.subarray(start, at));
    start = at + separator.length;
  }
  const [first = arg, ...others] = [...pieces, arg.subarray(start)];
  return [stripModule(first, module), ...others];
}

/** `mod` and `mod/…` lose the name; `model` does not, where C rsync would cut it to `el`. */
function stripModule(arg: Buffer, module: Buffer): Buffer {
  if (!arg.subarray(0, module.length).equals(module)) return arg;
  return arg.length === module.length || arg[module.length] === SLASH ? arg.subarray(module.length) : arg;
}

/**
 * A path inside a module, cleaned: `..` is resolved and climbs neither above the root nor above the `/./` marker.
 * @param keepMarker whether `./` in front and the first `/./` mean something (--relative).
 */
export function cleanPath(path: Buffer, keepMarker = true): Buffer {
  if (isClean(path)) return path[0] === SLASH ? path.subarray(1) : path;
  const { base, active, hasLeadingDot, asksForContents } = readComponents(path, keepMarker, (components) => {
    // SECURITY: `..` is resolved on the text alone, so no later step sees one (CVE-2004-0426, CVE-2004-0792).
    components.pop();
  });
  if (active !== null) return Buffer.concat([joinAll(base), Buffer.from('/./'), joinAll(active, asksForContents)]);
  const isMarked = hasLeadingDot && base.length > 0;
  return Buffer.concat([Buffer.from(isMarked ? './' : ''), joinAll(base, asksForContents)]);
}

/** Whether nothing but a leading slash would change: no component is empty or begins with a dot. Almost every path is so. */
function isClean(path: Buffer): boolean {
  for (let start = path[0] === SLASH ? 1 : 0; start < path.length; ) {
    if (path[start] === SLASH || path[start] === DOT_BYTE) return false;
    const end = path.indexOf(SLASH, start);
    if (end < 0) return true;
    start = end + 1;
  }
  return true;
}

/** A path that a shell server was given: `..` and a leading slash keep their meaning for the caller. */
function cleanShellPath(path: Buffer, relative: boolean): Buffer {
  const { base, active, hasLeadingDot, asksForContents } = readComponents(path, relative, (components, component) => {
    components.push(component);
  });
  if (relative && (active ?? base).some(isDotDot)) {
    throw new UsageError(`found ".." dir in relative path: ${quoteArgument(path)}\n`, { exit: EXIT.SYNTAX });
  }
  const root = path[0] === SLASH ? '/' : hasLeadingDot && base.length > 0 && active === null ? './' : '';
  const tail = active === null ? [] : [Buffer.from('/./'), joinAll(active, asksForContents)];
  return Buffer.concat([Buffer.from(root), joinAll(base, active === null && asksForContents), ...tail]);
}

interface Components {
  /** Before the marker, or all of them. */
  readonly base: Buffer[];
  /** Behind the first `/./`; null without one. */
  readonly active: Buffer[] | null;
  readonly hasLeadingDot: boolean;
  /** The path ends in a slash, `.` or `..`. */
  readonly asksForContents: boolean;
}

type DotDotRule = (components: Buffer[], dotDot: Buffer) => void;

function readComponents(path: Buffer, keepMarker: boolean, onDotDot: DotDotRule): Components {
  const components = splitAtSlashes(path);
  const base: Buffer[] = [];
  let active: Buffer[] | null = null;
  let hasLeadingDot = false;
  components.forEach((component, at) => {
    const isMarker = isDot(component) && keepMarker && active === null && at < components.length - 1;
    if (isMarker && base.length > 0) active = [];
    else if (isMarker) hasLeadingDot = true;
    else if (isDotDot(component)) onDotDot(active ?? base, component);
    else if (component.length > 0 && !isDot(component)) (active ?? base).push(component);
  });
  const last = components.at(-1)!;
  const asksForContents = last.length === 0 || isDot(last) || isDotDot(last);
  return { base, active, hasLeadingDot, asksForContents };
}

/** All components, the empty ones too; at least one. */
function splitAtSlashes(path: Buffer): Buffer[] {
  const components: Buffer[] = [];
  let start = 0;
  for (let end = path.indexOf(SLASH); end >= 0; end = path.indexOf(SLASH, start)) {
    components.push(path.subarray(start, end));
    start = end + 1;
  }
  return [...components, path.subarray(start)];
}

function isDot(component: Buffer): boolean {
  return component.length === 1 && component[0] === DOT_BYTE;
}

function joinAll(components: readonly Buffer[], withSlash = false): Buffer {
  if (components.length === 0) return Buffer.alloc(0);
  const parts = components.flatMap((component) => [SLASH_BYTES, component]).slice(1);
  return Buffer.concat(withSlash ? [...parts, SLASH_BYTES] : parts);
}
