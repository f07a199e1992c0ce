/** How directories are held and named by descriptor; module-root.ts and open-root.ts open everything this way. */

import { constants, readlinkSync } from 'node:fs';

/** `/proc/<pid>/fd/`: the link `/proc/self` would be followed anew in each call. */
export const OWN_DESCRIPTORS = `/proc/${ownNumber()}/fd/`;

/** Not exported by node:fs. */
const O_PATH = 0o10000000;

export const DIRECTORY_FLAGS = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** This process's number as /proc counts, which may be that of another pid namespace. */
function ownNumber(): string {
  try {
    return readlinkSync('/proc/self');
  } catch {
    // No /proc: then nothing is served at all.
    return 'self';
  }
}

/** What Node would write as two bytes, or what ends a path. */
const NOT_PLAIN = /[^ -~]/;

/** Whether latin1 text is the same bytes to Node as it is to us: it passes such text on faster than bytes. */
export function isPlainText(text: string): boolean {
  return !NOT_PLAIN.test(text);
}
