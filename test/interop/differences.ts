/** Deliberate differences from C rsync's daemon, each with its reason; equivalence.test.ts accepts these and no others. */

import type { EquivalenceCase } from './cases.ts';

export interface Difference {
  /** Why we differ, in one sentence. */
  readonly reason: string;
  /** Cases in which it may show. */
  readonly applies: (asked: EquivalenceCase, protocol: number) => boolean;
  /** Lines of the comparison (pull.ts) that it explains. */
  readonly explains: RegExp;
}

export const DIFFERENCES: readonly Difference[] = [];
