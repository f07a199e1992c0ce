/** A rule's pattern, prepared as 1-session.md 7.5 tells, and the name it is compared with; rules.ts evaluates them. */

import { hasWildcards, type StepMeter, Wildmatch } from './wildmatch.ts';

const SLASH = 0x2f;
const DOUBLE_STAR = Buffer.from('**');
const TRIPLE_STAR = Buffer.from('***');
const ANY_DEPTH = Buffer.from('**/');

/**
 * A name under test. The bytes lie as `/ base / name /`, so that every form of comparison is a range of one buffer:
 * the virtual slashes of the matching table stand where the table wants them. Reused for every name of a scope.
 */
export class NameTarget {
  bytes: Buffer;
  /** Offset of the path from the module root. */
  readonly pathStart = 1;
  /** Offset of the name as it stands in the file list. */
  readonly nameStart: number;
  /** Offset of the last component. */
  lastStart = 1;
  /** Offset of the closing slash. */
  end = 1;
  isDirectory = false;

  /**
   * @param basePath path of the transfer root from the module root, without slashes at its ends.
   * @param nameBytes longest name to expect; longer ones cost one allocation.
   */
  constructor(basePath: Buffer, nameBytes: number) {
    this.nameStart = basePath.length === 0 ? 1 : basePath.length + 2;
    this.bytes = Buffer.alloc(this.nameStart + nameBytes + 1, SLASH);
    basePath.copy(this.bytes, 1);
  }

  /** Puts another name under test; the name is copied. */
  set(name: Buffer, isDirectory: boolean): void {
    this.end = this.nameStart + name.length;
    if (this.end >= this.bytes.length) this.#grow();
    name.copy(this.bytes, this.nameStart);
    this.bytes[this.end] = SLASH;
    this.lastStart = this.nameStart + name.lastIndexOf(SLASH) + 1;
    this.isDirectory = isDirectory;
  }

  #grow(): void {
    const larger = Buffer.alloc(2 * this.end + 1);
    this.bytes.copy(larger, 0, 0, this.nameStart);
    this.bytes = larger;
  }
}

/** Which part of the target a pattern is compared with: the rows of the table in 7.5. */
type Extent = 'whole' | 'last' | 'leadingStars' | 'anywhere' | 'tail';

export class NamePattern {
  readonly #dirOnly: boolean;
  /** The path from the module root is compared, not the name. */
  readonly #absolute: boolean;
  readonly #extent: Extent;
  /** Slashes of a `tail` pattern. */
  readonly #slashes: number;
  /** Directories are compared with a slash appended, so that `dir/***` matches `dir` itself. */
  readonly #appendsSlash: boolean;
  readonly #literal: Buffer;
  readonly #wildmatch: Wildmatch | null;

  /** @param pattern not empty; kept, so it must not change. */
  constructor(pattern: Buffer, absolute: boolean) {
    this.#absolute = absolute;
    this.#dirOnly = pattern.length > 1 && pattern.at(-1) === SLASH;
    const bare = this.#dirOnly ? pattern.subarray(0, -1) : pattern;
    const double = bare.includes(DOUBLE_STAR);
    this.#slashes = countSlashes(bare);
    this.#appendsSlash = endsWith(bare, TRIPLE_STAR);
    let compared = bare;
    if (bare[0] === SLASH) {
      this.#extent = 'whole';
      compared = bare.subarray(1);
    } else if (startsWith(bare, DOUBLE_STAR)) {
      this.#extent = 'leadingStars';
    } else if (double) {
      // "At the start and after every slash" is one match of `**/…` against the name with a slash in front.
      this.#extent = 'anywhere';
      compared = Buffer.concat([ANY_DEPTH, bare]);
    } else {
      this.#extent = this.#slashes === 0 ? 'last' : 'tail';
    }
    this.#literal = compared;
    this.#wildmatch = hasWildcards(compared) ? new Wildmatch(compared) : null;
  }

  /**
   * True when the target matches.
   * @throws LimitError as Wildmatch.matches.
   */
  matches(target: NameTarget, meter: StepMeter): boolean {
    if (this.#dirOnly && !target.isDirectory) return false;
    const start = this.#start(target);
    if (start < 0) return false;
    const end = this.#appendsSlash && target.isDirectory ? target.end + 1 : target.end;
    if (this.#wildmatch) return this.#wildmatch.matches(target.bytes, start, end, meter);
    return equalBytes(this.#literal, target.bytes, start, end);
  }

  /** Offset where the comparison begins; -1 when the name has too few components. */
  #start(target: NameTarget): number {
    if (this.#extent === 'last') return target.lastStart;
    const first = this.#absolute ? target.pathStart : target.nameStart;
    if (this.#extent === 'whole') return first;
    if (this.#extent === 'anywhere') return first - 1;
    // rsync puts no slash in front of a path that it made from the base path and the name: `-/ **/sub/x` does not
    // match `x` in a transfer of `sub/`.
    if (this.#extent === 'leadingStars') return first === target.nameStart ? first - 1 : first;
    let slashes = this.#slashes;
    for (let at = target.end - 1; at >= first; at--) {
      if (target.bytes[at] === SLASH && slashes-- === 0) return at + 1;
    }
    return slashes === 0 ? first : -1;
  }
}

function countSlashes(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(SLASH); at >= 0; at = bytes.indexOf(SLASH, at + 1)) count++;
  return count;
}

function startsWith(bytes: Buffer, prefix: Buffer): boolean {
  return bytes.subarray(0, prefix.length).equals(prefix);
}

function endsWith(bytes: Buffer, suffix: Buffer): boolean {
  return bytes.length >= suffix.length && bytes.subarray(-suffix.length).equals(suffix);
}

/** A loop from the end: names mostly differ there, and short comparisons are cheaper than a native call. */
function equalBytes(literal: Buffer, text: Buffer, start: number, end: number): boolean {
  if (literal.length !== end - start) return false;
  for (let at = literal.length - 1; at >= 0; at--) {
    if (literal[at] !== text[start + at]) return false;
  }
  return true;
}
