/** Shows that work done again and again leaves nothing behind in a process. */

import { readFileSync } from 'node:fs';

const MOST_ROUNDS = 8;

/**
 * Runs `round` until one adds less than `slackMiB` to the resident size; at most eight times. When the collector takes more
 * room is its own affair; a leak would show in every round.
 * @returns the smallest growth, in MiB.
 */
export async function smallestGrowthMiB(pid: number, slackMiB: number, round: () => Promise<void>): Promise<number> {
  let smallest = Number.POSITIVE_INFINITY;
  for (let done = 0; done < MOST_ROUNDS && smallest >= slackMiB; done++) {
    const before = residentMiB(pid);
    await round();
    smallest = Math.min(smallest, residentMiB(pid) - before);
  }
  return smallest;
}

function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) / 1024;
}
