/** Files of filter rules (1-session.md 7.7): content → single rules, and the names of such files; rules.ts calls it. */

const LF = 0x0a;
const CR = 0x0d;
const NUL = 0x00;
const HASH = 0x23;
const SEMICOLON = 0x3b;
const SLASH = '/';

export interface FileRule {
  readonly text: Buffer;
  /** Line (or, with word splitting, word) of the file, from 1. */
  readonly number: number;
}

/**
 * The rules of a file of lines ended by LF, CR or CR LF. Empty lines and lines starting with `#` or `;` are skipped,
 * blanks are significant. Slices of `content`.
 */
export function* lineRules(content: Buffer): Generator<FileRule> {
  let start = 0;
  let number = 0;
  while (start < content.length) {
    let end = start;
    while (end < content.length && content[end] !== LF && content[end] !== CR) end++;
    number++;
    const text = cutAtNul(content.subarray(start, end));
    start = content[end] === CR && content[end + 1] === LF ? end + 2 : end + 1;
    if (text.length > 0 && text[0] !== HASH && text[0] !== SEMICOLON) yield { text, number };
  }
}

/** The rules of a file whose rules are separated by white space and which has no comments. Slices of `content`. */
export function* wordRules(content: Buffer): Generator<FileRule> {
  let number = 0;
  for (let at = 0; at < content.length; at++) {
    const start = at;
    while (at < content.length && !isSpace(content[at]!)) at++;
    const text = cutAtNul(content.subarray(start, at));
    if (text.length > 0) yield { text, number: ++number };
  }
}

/** The bytes before the first NUL: rsync keeps rules as C strings. */
export function cutAtNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(NUL);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

/**
 * Resolves a path lexically, clamped at the module root.
 * @param from directory that a path without leading slash is relative to.
 * @returns a path from the module root without `.`, `..`, doubled or outer slashes; empty for the root.
 */
export function cleanPath(from: Buffer, path: Buffer): Buffer {
  const kept: string[] = [];
  const start = path[0] === SLASH.charCodeAt(0) ? '' : from.toString('latin1');
  for (const component of [...start.split(SLASH), ...path.toString('latin1').split(SLASH)]) {
    if (component === '..') kept.pop();
    else if (component !== '' && component !== '.') kept.push(component);
  }
  return Buffer.from(kept.join(SLASH), 'latin1');
}

/** `directory/name`, or the name alone in the module root. */
export function joinPath(directory: Buffer, name: Buffer): Buffer {
  return directory.length === 0 ? name : Buffer.concat([directory, Buffer.from(SLASH), name]);
}

/** The directories above `directory` that are `top` or below it, from `top` down; none when `top` is not above it. */
export function directoriesBetween(top: Buffer, directory: Buffer): Buffer[] {
  const found: Buffer[] = [];
  const text = directory.toString('latin1');
  const topText = top.toString('latin1');
  if (text === topText || (topText !== '' && !text.startsWith(`${topText}/`))) return found;
  found.push(top);
  for (let at = text.indexOf(SLASH, topText.length + 1); at >= 0; at = text.indexOf(SLASH, at + 1)) {
    found.push(directory.subarray(0, at));
  }
  return found;
}
