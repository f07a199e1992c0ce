/** Gives up what makes a process powerful, on Linux, before the last exec; elsewhere identity.ts does what can be done. */

import { SandboxError } from '../errors.ts';
import { NOBODY } from './identity.ts';
import type { Kernel } from './syscalls.ts';

const PR_CAPBSET_READ = 23;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;

/** The highest number that the kernel's 64-bit sets have room for. */
const MAX_CAPABILITY = 63;

/** Of linux/capability.h: two words of header, then effective, permitted and inheritable, twice. */
const CAPABILITY_VERSION_3 = 0x20080522;

/**
 * From root to nobody: no supplementary group, no capability, none that an exec could bring back.
 *
 * In a user namespace that has no nobody, the user stays, who is nothing but an ordinary user outside.
 * @throws SandboxError when root cannot be given up.
 */
export function giveUpRoot(kernel: Kernel): void {
  dropBoundingSet(kernel);
  // Not allowed in a user namespace of an ordinary user, who could drop a group there that keeps him from a file.
  kernel.attempt('setgroups', 0, 0);
  const group = kernel.attempt('setresgid', NOBODY, NOBODY, NOBODY);
  const user = kernel.attempt('setresuid', NOBODY, NOBODY, NOBODY);
  // EINVAL: this namespace has no such id.
  for (const { code } of [group, user]) {
    if (code !== null && code !== 'EINVAL') throw new SandboxError(`cannot become uid and gid ${NOBODY}: ${code}`);
  }
  clearCapabilities(kernel);
}

/** What an exec can give back at most. */
function dropBoundingSet(kernel: Kernel): void {
  for (let capability = 0; capability <= MAX_CAPABILITY; capability++) {
    const { result } = kernel.attempt('prctl', PR_CAPBSET_READ, capability, 0, 0, 0);
    // Without CAP_SETPCAP it stays; no_new_privs makes it worthless all the same.
    if (result === 1) kernel.attempt('prctl', PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
}

function clearCapabilities(kernel: Kernel): void {
  kernel.attempt('prctl', PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  const header = Buffer.alloc(8);
  header.writeUInt32LE(CAPABILITY_VERSION_3);
  kernel.call('capset', header, Buffer.alloc(24));
}

/** From here on no exec of this thread can gain anything, through no set-user-ID program. @throws SandboxError */
export function forbidNewPrivileges(kernel: Kernel): void {
  kernel.call('prctl', PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
