/**
 * rsync-exact byte matching (1-session.md 7.5) with a step budget; pattern.ts, and session/ for wildcard arguments, call it.
 *
 * | token     | matches                                      |
 * |-----------|----------------------------------------------|
 * | `?`       | one byte but `/`                             |
 * | `*`       | any run without `/`                          |
 * | `**`      | any run                                      |
 * | `[set]`   | one byte of the set, never `/` (byte-set.ts) |
 * | `\c`      | the byte c                                   |
 */

import { LimitError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { MalformedSet, SET_WORDS, setHas, writeSet } from './byte-set.ts';

const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const STAR = 0x2a;
const QUESTION = 0x3f;
const BRACKET = 0x5b;

// Operations of a compiled pattern; values below 256 are literal bytes, values from OP_SET are sets.
const OP_ANY = 256;
const OP_STAR = 257;
const OP_DOUBLE_STAR = 258;
const OP_SET = 259;

/** Names whose allowance is granted in advance, so that one costly pattern may meet a small directory. */
const NAMES_IN_ADVANCE = 100;

/** The part of limits.ts that a matcher needs. */
export type StepLimits = Pick<Limits, 'wildmatchStepsPerByte' | 'filterStepsPerName'>;

/** Counts the matching work that one peer causes (security.md B-10). One per session and filter list. */
export class StepMeter {
  readonly perByte: number;
  readonly #perName: number;
  #left: number;

  constructor(limits: StepLimits) {
    this.perByte = limits.wildmatchStepsPerByte;
    this.#perName = limits.filterStepsPerName;
    this.#left = NAMES_IN_ADVANCE * this.#perName;
  }

  /** Grants the allowance of one more name. */
  beginName(): void {
    this.#left += this.#perName;
  }

  /**
   * Pays for work that was done.
   * @throws LimitError `filterStepsPerName` when the session has used up what its names allow.
   */
  charge(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new LimitError('filterStepsPerName', 'the filter rules take too long to match');
  }
}

/** True when the bytes hold `*`, `?` or `[`: only then are they a pattern and is a backslash special. */
export function hasWildcards(bytes: Buffer): boolean {
  return bytes.includes(STAR) || bytes.includes(QUESTION) || bytes.includes(BRACKET);
}

/** One compiled pattern with wildcards. Immutable, about three bytes per pattern byte plus 32 per set. */
export class Wildmatch {
  readonly #ops: Uint16Array;
  readonly #sets: Uint32Array;
  readonly #patternBytes: number;
  /** Final literal byte, or -1: rejects most names of `*.o`-like rules in one comparison. */
  readonly #lastByte: number;

  /** Never throws: a malformed set or a trailing backslash makes a pattern that matches nothing, as in rsync. */
  constructor(pattern: Buffer) {
    const compiled = compile(pattern);
    this.#ops = compiled?.ops ?? NO_OPS;
    this.#sets = compiled?.sets ?? NO_SETS;
    this.#patternBytes = pattern.length;
    const last = this.#ops.at(-1) ?? OP_ANY;
    this.#lastByte = last < OP_ANY ? last : -1;
  }

  /**
   * Matches `text[start..end)` as a whole, without allocating.
   *
   * One retry point for `*` and one for `**` are enough: between stars every operation has a fixed width, so the
   * leftmost place of a part leaves the most room for the rest, and a `*` that was stopped by a slash can only be helped
   * by an earlier `**`. The work is polynomial, and the budget makes it linear.
   * @throws LimitError `wildmatchStepsPerByte` when one match takes too long, `filterStepsPerName` when the session did.
   */
  matches(text: Buffer, start: number, end: number, meter: StepMeter): boolean {
    if (this.#lastByte >= 0 && (start === end || text[end - 1] !== this.#lastByte)) return false;
    const limit = meter.perByte * (this.#patternBytes + end - start);
    const used = this.#run(text, start, end, limit);
    meter.charge(Math.abs(used));
    // SECURITY: patterns come from the peer; without a budget `*a*a*…b` against long names stalls every session.
    if (Math.abs(used) > limit)
      throw new LimitError('wildmatchStepsPerByte', 'a filter pattern takes too long to match');
    return used > 0;
  }

  /** Steps used: positive for a match, negative for none, above `limit` for "gave up". */
  #run(text: Buffer, start: number, end: number, limit: number): number {
    const ops = this.#ops;
    let at = start;
    let op = 0;
    let starOp = -1;
    let starAt = 0;
    let doubleOp = -1;
    let doubleAt = 0;
    for (let steps = 1; steps <= limit; steps++) {
      const code = op < ops.length ? ops[op]! : -1;
      if (code === OP_STAR) {
        starOp = ++op;
        starAt = at;
      } else if (code === OP_DOUBLE_STAR) {
        doubleOp = ++op;
        doubleAt = at;
        starOp = -1;
        if (op === ops.length) return steps;
      } else if (at === end) {
        // Later places leave even less text for what remains of the pattern.
        return code === -1 && ops.length > 0 ? steps : -steps;
      } else if (this.#accepts(code, text[at]!)) {
        op++;
        at++;
      } else if (starOp >= 0 && text[starAt] !== SLASH) {
        at = ++starAt;
        op = starOp;
      } else if (doubleOp >= 0) {
        at = ++doubleAt;
        op = doubleOp;
        starOp = -1;
      } else {
        return -steps;
      }
    }
    return limit + 1;
  }

  #accepts(code: number, byte: number): boolean {
    if (code < OP_ANY) return code === byte;
    if (code === OP_ANY) return byte !== SLASH;
    return setHas(this.#sets, (code - OP_SET) * SET_WORDS, byte);
  }
}

interface Compiled {
  readonly ops: Uint16Array;
  /** SET_WORDS words for each set. */
  readonly sets: Uint32Array;
}

const NO_OPS = new Uint16Array(0);
const NO_SETS = new Uint32Array(0);

/** Where patterns are compiled: ten thousand of them would leave as many arrays that have grown for the collector. */
const SCRATCH = new Uint16Array(8192);

/** Operations of a pattern; null when it can match nothing. */
function compile(pattern: Buffer): Compiled | null {
  // No pattern has more operations than bytes.
  const ops = pattern.length <= SCRATCH.length ? SCRATCH : new Uint16Array(pattern.length);
  const sets: number[] = [];
  let count = 0;
  let at = 0;
  while (at < pattern.length) {
    const byte = pattern[at++]!;
    if (byte === BACKSLASH) {
      if (at === pattern.length) return null;
      ops[count++] = pattern[at++]!;
    } else if (byte === STAR) {
      const first = at;
      while (pattern[at] === STAR) at++;
      ops[count++] = at === first ? OP_STAR : OP_DOUBLE_STAR;
    } else if (byte === BRACKET) {
      const next = writeSet(pattern, at, sets);
      if (next === MalformedSet) return null;
      ops[count++] = OP_SET + sets.length / SET_WORDS - 1;
      at = next;
    } else {
      ops[count++] = byte === QUESTION ? OP_ANY : byte;
    }
  }
  return { ops: ops.slice(0, count), sets: sets.length === 0 ? NO_SETS : new Uint32Array(sets) };
}

/** A wildcard component of a path argument (1-session.md 3.3 step 4). */
export interface Glob {
  /**
   * True when a directory entry's name matches; leading dots are nothing special.
   * @throws LimitError as Wildmatch.matches.
   */
  matches(name: Buffer): boolean;
}

/** Compiles one path component that has wildcards; backslash escapes the next byte. */
export function compileGlob(component: Buffer, limits: StepLimits): Glob {
  const wildmatch = new Wildmatch(component);
  const meter = new StepMeter(limits);
  return {
    matches(name) {
      meter.beginName();
      return wildmatch.matches(name, 0, name.length, meter);
    },
  };
}
