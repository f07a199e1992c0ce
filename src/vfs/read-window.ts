/** Memory for long reads that the checksums work on where it is; content-sum.ts and the transfer of files borrow it. */

import { arena } from '../arena.ts';

/** With less at a time, a loop's own cost shows beside the copy from the page cache; more would not stay in a processor's cache. */
export const READ_WINDOW_BYTES = 512 * 1024;

/** Windows that the arena lends: 8 MiB. */
const MOST_WINDOWS = 16;

/** A window with whatever it held before, for `returnReadWindow`; null when all are lent, or there is no arena. */
export function borrowReadWindow(): Buffer | null {
  return arena.lend(READ_WINDOW_BYTES, MOST_WINDOWS);
}

/** Takes back a window that nobody uses any more. */
export function returnReadWindow(window: Buffer): void {
  arena.giveBack(window);
}
