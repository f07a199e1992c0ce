/** What an inherited descriptor is, and whose the terminal is; cli/serve.ts asks before it listens on one or draws on the other. */

import { closeSync, fstatSync, readFileSync } from 'node:fs';

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

/** False when the shell has put this process into the background: the terminal is somebody else's then. True where nobody can tell. */
export function isInForeground(): boolean {
  try {
    // proc(5): behind the name come state, parent, process group, session, terminal, and the terminal's foreground group.
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return group === foreground || foreground === '-1';
  } catch {
    return true;
  }
}
