/** Counts how often a bound is met: by its counter, or by the error that a session would count. */

import { RsyncError } from '../../src/errors.ts';
import { limitHits } from '../../src/limit-hits.ts';
import type { LimitName } from '../../src/limits.ts';

/** Hits of `limit` while `run` runs. @throws whatever `run` throws that is not about this limit. */
export async function hitsOf(limit: LimitName, run: () => unknown): Promise<number> {
  const counted = (): number => limitHits.snapshot().get(limit)!;
  const before = counted();
  let thrown = 0;
  try {
    await run();
  } catch (error) {
    if (!(error instanceof RsyncError)) throw error;
    // Where something is cut short, the counter says so already.
    if (error.limit === limit) thrown++;
    else if (counted() === before) throw error;
  }
  return counted() - before + thrown;
}
