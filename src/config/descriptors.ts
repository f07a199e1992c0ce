/** What an inherited descriptor is; cli/serve.ts asks before it listens on one. */

import { fstatSync } from 'node:fs';

/** True when `fd` is open and a socket. */
export function isSocketFd(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false;
  }
}
