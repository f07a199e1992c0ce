/** One path argument, split into the directory where the transfer starts and the name in the list (2-file-list.md 1.1). */

import { EXIT, UsageError } from '../errors.ts';
import { isDotDot, splitPath } from '../vfs/path.ts';

/** How an argument was spelled: a plain name, a name with a trailing slash, or the contents of a directory. */
export type ArgumentKind = 'normal' | 'slash' | 'dot';

export interface SourceArgument {
  /** Directory where the transfer starts, from the module root; empty for the root. */
  readonly base: Buffer;
  /** Name below it as the list will show it; `.` for kind `dot`. */
  readonly name: Buffer;
  readonly kind: ArgumentKind;
  /** `./` in front under --relative: the base itself is sent once, as an implied directory. */
  readonly leadingDot: boolean;
}

const SLASH = 0x2f;
const DOT = Buffer.from('.');

/**
 * @param text a cleaned argument: no leading slash, no `..` (1-session.md 3.3).
 * @throws UsageError for `..` below `--relative`.
 */
export function parseSourceArgument(text: Buffer, relative: boolean): SourceArgument {
  return relative ? parseRelative(text) : parsePlain(text);
}

function parsePlain(text: Buffer): SourceArgument {
  const components = splitPath(text);
  const endsInDot = text.length === 0 || text[text.length - 1] === SLASH || lastComponentIsDot(text);
  if (endsInDot || components.length === 0) {
    return { base: join(components), name: DOT, kind: 'dot', leadingDot: false };
  }
  return { base: join(components.slice(0, -1)), name: components.at(-1)!, kind: 'normal', leadingDot: false };
}

function parseRelative(text: Buffer): SourceArgument {
  const marker = text.indexOf('/./');
  const base = marker < 0 ? Buffer.alloc(0) : join(splitPath(text.subarray(0, marker)));
  const active = marker < 0 ? text : text.subarray(marker + 3);
  const startsWithDot = active.length >= 2 && active[0] === 0x2e && active[1] === SLASH;
  const components = splitPath(active);
  if (components.some(isDotDot)) {
    throw new UsageError('found ".." dir in relative path\n', { exit: EXIT.SYNTAX });
  }
  if (components.length === 0) return { base, name: DOT, kind: 'dot', leadingDot: false };
  const kind = active[active.length - 1] === SLASH || lastComponentIsDot(active) ? 'slash' : 'normal';
  return { base, name: join(components), kind, leadingDot: startsWithDot };
}

function lastComponentIsDot(text: Buffer): boolean {
  return text[text.length - 1] === 0x2e && (text.length === 1 || text[text.length - 2] === SLASH);
}

function join(components: readonly Buffer[]): Buffer {
  return Buffer.concat(components.flatMap((component, i) => (i === 0 ? [component] : [Buffer.from('/'), component])));
}
