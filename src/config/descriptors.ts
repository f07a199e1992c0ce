/** What an inherited descriptor is; cli/serve.ts asks before it listens on one. */

import { closeSync, fstatSync } from 'node:fs';

/** True when `fd` is open and a socket. */
export function isSocketFd(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false;
  }
}

/** Closes a descriptor that no object of Node owns; one that is closed already is left alone. */
export function closeDescriptor(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // EBADF: there is nothing left to close.
  }
}
