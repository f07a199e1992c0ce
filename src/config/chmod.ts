/**
 * outgoing_chmod: rsync's --chmod grammar as a function over modes; module.ts parses it once at load.
 *
 *     list := item ("," item)*
 *     item := ["D" | "F"] ( octal | [ugoa]* ("+" | "-" | "=") ( [rwxXst]* | u | g | o ) )
 *
 * The rules for special bits are those of a 3.5.0 daemon (test/unit/config/outgoing-chmod.json holds its answers).
 */
import { ConfigError } from '../errors.ts';

const TYPE_MASK = 0o170000;
const DIRECTORY = 0o040000;
const SYMLINK = 0o120000;
const SET_UID = 0o4000;
const SET_GID = 0o2000;
const STICKY = 0o1000;

/**
 * Bits that an item without u, g, o or a leaves alone. rsync takes the process's umask; ours is 0777 in the unit, so
 * the usual 022 is fixed.
 */
const UMASK = 0o022;

/** Shift of a class's three bits in a mode. */
const CLASS_SHIFT: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };

interface Item {
  readonly applies: 'all' | 'directories' | 'files';
  /** New mode from the mode so far and the file's own mode (X looks at the latter). */
  readonly change: (mode: number, original: number) => number;
}

/** What the who-part of an item selects. */
interface Who {
  /** Permission bits of the classes, before the umask. */
  readonly bits: number;
  /** Bits that an item may set or clear. */
  readonly allowed: number;
  readonly letters: string;
}

function parseWho(text: string): Who {
  const letters = text.includes('a') || text === '' ? 'ugo' : text;
  const bits = [...letters].reduce((sum, letter) => sum | (7 << CLASS_SHIFT[letter]!), 0);
  return { bits, allowed: text === '' ? bits & ~UMASK : bits, letters: text === '' ? '' : letters };
}

/** `s` and `t` as special bits: s means set-uid unless only the group is named. */
function specialBits(who: Who, permissions: string): number {
  let bits = permissions.includes('t') ? STICKY : 0;
  if (permissions.includes('s')) {
    const hasGroup = who.letters.includes('g');
    bits |= hasGroup ? SET_GID : 0;
    bits |= who.letters.includes('u') || !hasGroup ? SET_UID : 0;
  }
  return bits;
}

/** Special bits of the named classes; the sticky bit is that of `o`. */
function classSpecials(letters: string, sticky: number): number {
  return (
    (letters.includes('u') ? SET_UID : 0) | (letters.includes('g') ? SET_GID : 0) | (letters.includes('o') ? sticky : 0)
  );
}

function apply(operator: string, mode: number, bits: number, cleared: number): number {
  if (operator === '+') {
    return mode | bits;
  }
  return operator === '-' ? mode & ~bits : (mode & ~cleared) | bits;
}

/** `u=rwX`: permission letters. */
function lettersChange(who: Who, operator: string, permissions: string): Item['change'] {
  const fixed = [...'rwx'].reduce((sum, letter, i) => sum | (permissions.includes(letter) ? 0o444 >> i : 0), 0);
  const special = specialBits(who, permissions);
  // "=" touches special bits only when it names one, and then those of its classes, never the sticky bit.
  const cleared = who.bits | (special === 0 ? 0 : classSpecials(who.letters, 0));
  return (mode, original) => {
    const isRunnable = (original & TYPE_MASK) === DIRECTORY || (original & 0o111) !== 0;
    const triads = permissions.includes('X') && isRunnable ? fixed | 0o111 : fixed;
    return apply(operator, mode, (triads & who.allowed) | special, cleared);
  };
}

/** `g=u`: the permissions of another class, taken from the mode so far. */
function copyChange(who: Who, operator: string, from: string): Item['change'] {
  const cleared = who.bits | classSpecials(who.letters === '' ? 'ugo' : who.letters, STICKY);
  return (mode) => {
    const triad = (mode >> CLASS_SHIFT[from]!) & 7;
    return apply(operator, mode, (triad * 0o111) & who.allowed, cleared);
  };
}

function parseItem(text: string): Item {
  const octal = /^([DF]?)(0*[0-7]{1,4})$/.exec(text);
  const symbolic = /^([DF]?)([ugoa]*)([-+=])(?:([ugo])|([rwxXst]*))$/.exec(text);
  const prefix = (octal ?? symbolic)?.[1];
  const applies = prefix === 'D' ? 'directories' : prefix === 'F' ? 'files' : 'all';
  if (octal !== null) {
    const bits = Number.parseInt(octal[2]!, 8);
    return { applies, change: (mode) => (mode & TYPE_MASK) | bits };
  }
  if (symbolic === null) {
    throw new ConfigError(`"${text}" is not a mode change: expected items as "D755", "F644", "u+rw", "go-w", "a=rX"`);
  }
  const [, , whoText = '', operator = '', from, permissions = ''] = symbolic;
  const who = parseWho(whoText);
  const change = from === undefined ? lettersChange(who, operator, permissions) : copyChange(who, operator, from);
  return { applies, change };
}

/**
 * Parses a comma-separated list of mode changes into a function from a full st_mode to the mode that is sent.
 *
 * File type bits stay; symbolic links are never changed.
 * @throws ConfigError without place.
 */
export function parseChmod(text: string): (mode: number) => number {
  const items = text.split(',').map(parseItem);
  return (original) => {
    const type = original & TYPE_MASK;
    if (type === SYMLINK) {
      return original;
    }
    const skipped = type === DIRECTORY ? 'files' : 'directories';
    return items.reduce((mode, item) => (item.applies === skipped ? mode : item.change(mode, original)), original);
  };
}
