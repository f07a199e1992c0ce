/**
 * Bracket expressions of patterns as bitmaps (1-session.md 7.5); wildmatch.ts compiles and asks them.
 *
 * `[` (`!`|`^`)? member+ `]`; member = byte | `\` byte | byte `-` byte | `[:class:]`. A `]` first is a member.
 */

/** 32-bit words of one set. */
export const SET_WORDS = 8;

/** Result of `writeSet` for a set without end or with an unknown class: its pattern matches nothing. */
export const MalformedSet = -1;

const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const DASH = 0x2d;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const COLON = 0x3a;

/** Byte ranges of the named classes, ASCII only, as from/to pairs. */
const CLASSES: ReadonlyMap<string, readonly number[]> = new Map([
  ['alnum', [0x30, 0x39, 0x41, 0x5a, 0x61, 0x7a]],
  ['alpha', [0x41, 0x5a, 0x61, 0x7a]],
  ['blank', [0x09, 0x09, 0x20, 0x20]],
  ['cntrl', [0x00, 0x1f, 0x7f, 0x7f]],
  ['digit', [0x30, 0x39]],
  ['graph', [0x21, 0x7e]],
  ['lower', [0x61, 0x7a]],
  ['print', [0x20, 0x7e]],
  ['punct', [0x21, 0x2f, 0x3a, 0x40, 0x5b, 0x60, 0x7b, 0x7e]],
  ['space', [0x09, 0x0d, 0x20, 0x20]],
  ['upper', [0x41, 0x5a]],
  ['xdigit', [0x30, 0x39, 0x41, 0x46, 0x61, 0x66]],
]);

/** True when the set whose words begin at `offset` holds the byte. */
export function setHas(words: Uint32Array, offset: number, byte: number): boolean {
  return (words[offset + (byte >>> 5)]! & (1 << (byte & 31))) !== 0;
}

/**
 * Appends the SET_WORDS words of a set to `words`.
 * @param at offset of the byte after `[`.
 * @returns the offset after the closing `]`, or MalformedSet (nothing appended).
 */
export function writeSet(pattern: Buffer, at: number, words: number[]): number {
  const set = new Uint32Array(SET_WORDS);
  const negated = pattern[at] === 0x21 || pattern[at] === 0x5e;
  let next = negated ? at + 1 : at;
  let previous = -1;
  do {
    const member = readMember(pattern, next, previous, set);
    if (!member) return MalformedSet;
    next = member.next;
    previous = member.byte;
  } while (next < pattern.length && pattern[next] !== CLOSE);
  if (next >= pattern.length) return MalformedSet;
  for (let index = 0; index < SET_WORDS; index++) {
    const word = negated ? ~set[index]! : set[index]!;
    words.push((index === SLASH >>> 5 ? word & ~(1 << (SLASH & 31)) : word) >>> 0);
  }
  return next + 1;
}

interface Member {
  readonly next: number;
  /** The byte that may begin a range; -1 after a range or a class. */
  readonly byte: number;
}

/** Adds one member to the set; null when the expression is malformed. */
function readMember(pattern: Buffer, at: number, previous: number, set: Uint32Array): Member | null {
  if (at >= pattern.length) return null;
  const byte = pattern[at]!;
  if (byte === DASH && previous >= 0 && at + 1 < pattern.length && pattern[at + 1] !== CLOSE) {
    const escaped = pattern[at + 1] === BACKSLASH;
    const last = at + (escaped ? 2 : 1);
    if (last >= pattern.length) return null;
    addRange(set, previous, pattern[last]!);
    return { next: last + 1, byte: -1 };
  }
  if (byte === OPEN && pattern[at + 1] === COLON) return readClass(pattern, at, set);
  const last = byte === BACKSLASH ? at + 1 : at;
  if (last >= pattern.length) return null;
  addRange(set, pattern[last]!, pattern[last]!);
  return { next: last + 1, byte: pattern[last]! };
}

/** `[:name:]` at `at`; without the `:` before the next `]` the bracket is an ordinary member. */
function readClass(pattern: Buffer, at: number, set: Uint32Array): Member | null {
  const close = pattern.indexOf(CLOSE, at + 2);
  if (close < 0) return null;
  if (close - 1 < at + 2 || pattern[close - 1] !== COLON) {
    addRange(set, OPEN, OPEN);
    return { next: at + 1, byte: OPEN };
  }
  const ranges = CLASSES.get(pattern.toString('latin1', at + 2, close - 1));
  if (!ranges) return null;
  for (let index = 0; index < ranges.length; index += 2) addRange(set, ranges[index]!, ranges[index + 1]!);
  return { next: close + 1, byte: -1 };
}

function addRange(set: Uint32Array, first: number, last: number): void {
  for (let byte = first; byte <= last; byte++) set[byte >>> 5]! |= 1 << (byte & 31);
}
