/** Gives up root for good; main.ts calls it after the listening sockets are bound, where no other sandbox did it. */

import { SandboxError } from '../errors.ts';

/** `nobody` and `nogroup` on Debian, and the usual choice in containers. */
export const NOBODY = 65534;

/**
 * Becomes user `uid` and group `gid` without supplementary groups, when the process is root; else changes nothing.
 * Main thread only; the kernel drops all capabilities with the last uid 0.
 * @returns the identity from here on, for the log.
 * @throws SandboxError when anything of root is left.
 */
export function dropToNobody(uid: number = NOBODY, gid: number = NOBODY): string {
  const { geteuid, getuid, setgroups, setgid, setuid } = process;
  if (!geteuid || !getuid || !setgroups || !setgid || !setuid) {
    throw new SandboxError('this platform has no user ids that could be given up');
  }
  if (geteuid() !== 0 && getuid() !== 0) return `not started as root: runs as ${identityText()}`;
  if (uid === 0 || gid === 0) throw new SandboxError('refusing to serve as root: the target user or group is 0');
  try {
    // Order matters: without root the groups could not be changed any more.
    setgroups([]);
    setgid(gid);
    setuid(uid);
  } catch (error) {
    throw new SandboxError(`cannot become uid ${uid}, gid ${gid}: ${(error as Error).message}`, { cause: error });
  }
  assertDropped(uid, gid);
  return `gave up root: runs as ${identityText()}`;
}

/** SECURITY: a set-id call that silently leaves the saved ids or a group behind lets an exploited daemon become root again. */
function assertDropped(uid: number, gid: number): void {
  const users = [process.getuid!(), process.geteuid!()];
  const groups = [process.getgid!(), process.getegid!(), ...process.getgroups!()];
  if (users.some((id) => id !== uid) || groups.some((id) => id !== gid)) {
    throw new SandboxError(`root was not given up: runs as ${identityText()}`);
  }
  for (const restore of [() => process.setuid!(0), () => process.seteuid!(0), () => process.setgid!(0)]) {
    if (succeeds(restore)) throw new SandboxError('root was not given up: it could be taken back');
  }
}

function succeeds(action: () => void): boolean {
  try {
    action();
    return true;
  } catch {
    return false;
  }
}

/** Who this process is, for the log. */
export function identityText(): string {
  return `uid ${process.geteuid!()}, gid ${process.getegid!()}, groups [${process.getgroups!().join(' ')}]`;
}
