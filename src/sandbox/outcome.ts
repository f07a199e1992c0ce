/** What came of locking the process in (confine.ts), by us or by somebody else: what a stage has to know that does not do it itself. */

import { readFileSync } from 'node:fs';

/** What confine() could do, as the next stage hears of it. What holds, it finds out for itself (self-test.ts). */
export interface Outcome {
  /** The process sees a root of its own. */
  readonly ownRoot: boolean;
  /** 0: no Landlock. */
  readonly landlockAbi: number;
  readonly seccomp: boolean;
  /** What could not be done and why, one line each. */
  readonly gaps: readonly string[];
}

/** The hand-over of confine(). */
export interface Handed {
  readonly outcome: Outcome;
  readonly message: unknown;
}

/** Nothing was done. */
export function unconfined(...gaps: readonly string[]): Outcome {
  return { ownRoot: false, landlockAbi: 0, seccomp: false, gaps };
}

/** True for a process that somebody else has locked in: it may not gain anything and its calls are filtered. */
export function isConfinedAlready(status = readFileSync('/proc/self/status', 'latin1')): boolean {
  return /^NoNewPrivs:\t1$/m.test(status) && /^Seccomp:\t2$/m.test(status);
}
