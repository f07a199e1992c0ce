/**
 * Wildcards of a command line that no shell expands: cli/restrict.ts writes them, source-paths.ts expands them (1-session.md 3.5).
 *
 * A backslash makes the byte behind it a plain one; `*`, `?` and `[` without it are wildcards, as a shell has them.
 */

import { compileGlob, type Glob, type StepLimits } from '../filter/wildmatch.ts';

const BACKSLASH = 0x5c;
const DOT = 0x2e;
const WILDCARDS = new Set(Buffer.from('*?[', 'latin1'));

/** Bytes that mean something in a path of this form. */
const SPECIAL = new Set(Buffer.from('*?[]\\', 'latin1'));

/** Puts a backslash before each special byte for which `isQuoted` is not 0. @param isQuoted one element per byte. */
export function quotePattern(bytes: Buffer, isQuoted: Uint8Array): Buffer {
  const pattern: number[] = [];
  for (const [at, byte] of bytes.entries()) {
    if (isQuoted[at] !== 0 && SPECIAL.has(byte)) pattern.push(BACKSLASH);
    pattern.push(byte);
  }
  return Buffer.from(pattern);
}

/** The name that a path stands for when it is no pattern, or matches nothing. */
export function unquoted(pattern: Buffer): Buffer {
  if (!pattern.includes(BACKSLASH)) return pattern;
  const bytes: number[] = [];
  for (let at = 0; at < pattern.length; at++) {
    if (pattern[at] === BACKSLASH && at + 1 < pattern.length) at++;
    bytes.push(pattern[at]!);
  }
  return Buffer.from(bytes);
}

/** True when a wildcard without a backslash is in it. */
export function hasLiveWildcards(pattern: Buffer): boolean {
  for (let at = 0; at < pattern.length; at++) {
    if (pattern[at] === BACKSLASH) at++;
    else if (WILDCARDS.has(pattern[at]!)) return true;
  }
  return false;
}

/** One component as a pattern; only a dot matches a leading dot. */
export function compileShellGlob(component: Buffer, limits: StepLimits): Glob {
  const glob = compileGlob(component, limits);
  const matchesDots = component[0] === DOT;
  return { matches: (name) => (matchesDots || name[0] !== DOT) && glob.matches(name) };
}
