/** One parameter of rsyncd.conf: what a row of the two tables says, and the building blocks of the rows. */
import { ConfigError } from '../errors.ts';
import { parseBoolean, parseWhole } from './rsyncd-words.ts';

/** security.md C: implemented, done differently, ignored with a warning, refused. */
export type VerdictLetter = 'I' | 'D' | 'W' | 'R';

/** A value of our configuration as a TOML parser gives it (integers are bigints). */
export type TomlValue = string | bigint | boolean | readonly string[];

/** What becomes of one setting. */
export interface Outcome {
  readonly letter: VerdictLetter;
  /** One phrase for the operator. */
  readonly text: string;
  /** Our keys that it sets, by the names of schema.ts. */
  readonly keys?: Readonly<Record<string, TomlValue>>;
  /** The module is switched off. */
  readonly leavesOut?: true;
}

/** Who we are, for `uid` and `gid`. */
export interface Identity {
  readonly uid: number;
  /** -1: not known. */
  readonly gid: number;
  /** The number of a user's or group's name on this host, or null. */
  idOf(kind: 'uid' | 'gid', name: string): number | null;
}

export interface ParamRow {
  /** As the manual writes it: lower case, single blanks. */
  readonly name: string;
  readonly scope: 'global' | 'module';
  /** Text that a module does not set is looked up at the end of the file, other kinds where the module begins. */
  readonly kind: 'text' | 'number' | 'boolean';
  /** The verdict of security.md C; single values may be judged milder or harder. */
  readonly verdict: VerdictLetter;
  /** The value means nothing to us, whatever it is: `%` in it is no variable. */
  readonly ignoresValue?: true;
  /** What becomes of a value that is not empty. @throws ConfigError without place: the value is refused. */
  readonly convert: (value: string, identity: Identity) => Outcome;
}

type Convert = ParamRow['convert'];

/** Refuses a value. */
export function refuse(problem: string): never {
  throw new ConfigError(problem);
}

/** Sets one of our keys to what `parse` makes of the value. */
export function setsKey(key: string, parse: (value: string) => TomlValue, letter: VerdictLetter = 'I'): Convert {
  return (value) => ({ letter, text: key, keys: { [key]: parse(value) } });
}

/** A parameter whose value is not looked at; `why` completes "ignored: ". */
export function ignored(why: string): Pick<ParamRow, 'ignoresValue' | 'convert'> {
  return { ignoresValue: true, convert: () => ({ letter: 'W', text: `ignored: ${why}` }) };
}

/** A parameter that must not be set at all. */
export function refused(instead: string): Convert {
  return () => refuse(`is not supported: ${instead}`);
}

/** A boolean of which one value is what we do anyway and the other is refused. */
export function mustBe(wanted: boolean, instead: string): Convert {
  return (value) =>
    parseBoolean(value) === wanted
      ? { letter: 'I', text: 'always so' }
      : refuse(`"${value}" is not supported: ${instead}`);
}

/** A boolean of three states: `unset` gives null. */
export function parseTristate(value: string): boolean | null {
  return value.toLowerCase() === 'unset' ? null : parseBoolean(value);
}

/** A whole number that is not negative, as TOML has it. */
export function parseCount(value: string): number {
  const number = parseWhole(value);
  return number < 0 ? refuse(`"${value}" is negative`) : number;
}

/** A file name that does not depend on the directory in which a daemon was started; doubled and outer slashes as they are. */
export function absoluteFile(value: string): string {
  return value.startsWith('/')
    ? value
    : refuse(`"${value}" is not an absolute file name; rsync starts in any directory`);
}

/** Names and numbers under which rsync and we serve when nothing else is asked for. */
const NOBODY = new Set(['nobody', 'nogroup', '65534']);

/** A user or group that must be nobody or the one that we run as. */
export function checkIdentity(kind: 'uid' | 'gid', name: string, identity: Identity): void {
  if (NOBODY.has(name)) {
    return;
  }
  const id = /^\d{1,10}$/.test(name) ? Number(name) : identity.idOf(kind, name);
  // SECURITY: root is never kept, so an honest answer to `uid = root` is a refusal, not silence.
  if (id === null || id === 0 || id !== identity[kind]) {
    const unit = kind === 'uid' ? 'User=' : 'Group=';
    refuse(
      `"${name}" is not the identity that we serve with: start the daemon as it (${unit} in the unit), or delete the line to serve as nobody`,
    );
  }
}
