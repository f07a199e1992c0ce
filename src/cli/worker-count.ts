/** How many event loops there are to be; both stages of a start ask. */

import { availableParallelism } from 'node:os';
import type { Config } from '../config/config.ts';
import { MAX_WORKERS } from '../shared.ts';

/** 1: the main thread serves. */
export function workerCount({ workers }: Pick<Config, 'workers'>): number {
  return workers > 0 ? workers : Math.min(availableParallelism(), MAX_WORKERS);
}

/**
 * Descriptors of each socket that the first stage makes for those workers, since the second may have no way to make any: one for each
 * worker, one to look at the socket with, and some for workers that take the place of dead ones. Without the last, the process ends,
 * and whoever started it starts it again.
 */
export function spareDescriptors(config: Pick<Config, 'workers'>): number {
  const count = workerCount(config);
  return count === 1 ? 0 : 1 + 3 * count + SPARE_DESCRIPTORS;
}

const SPARE_DESCRIPTORS = 8;
