/** Opens the directory that a module serves; cli/ and session/ call it, module-root.ts works below it. */

import { closeSync, lstatSync, openSync, readlinkSync, type Stats } from 'node:fs';
import { FileError, SandboxError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { DIRECTORY_FLAGS, OWN_DESCRIPTORS } from './descriptors.ts';
import { toFileError } from './errno.ts';
import { joinPath, splitPath } from './path.ts';

/**
 * Opens a module's root from `/`, one component at a time, and returns its descriptor.
 * A link on the way is followed only when root or this process owns it: anybody else could aim it elsewhere (CVE-2026-53784).
 * @param path absolute path.
 * @throws SandboxError naming the offending component.
 */
export function openModuleRoot(path: Buffer, limits: Limits): number {
  const pending = splitPath(path).reverse();
  let fd = openSync('/', DIRECTORY_FLAGS);
  let walked: Buffer = Buffer.alloc(0);
  let hops = 0;
  try {
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      const at = Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), name]);
      const opened = openDirectory(at);
      if (typeof opened !== 'number') {
        const { uid } = opened;
        if (uid !== 0 && uid !== process.geteuid?.()) {
          throw new SandboxError(`${pathText(path)}: the link ${pathText(name)} on the way belongs to uid ${uid}`);
        }
        if (++hops > limits.linkHops) throw new SandboxError(`${pathText(path)}: too many links on the way`);
        const target = readlinkSync(at, 'buffer');
        if (target[0] === 0x2f) fd = replaceFd(fd, openSync('/', DIRECTORY_FLAGS));
        pending.push(...splitPath(target).reverse());
        continue;
      }
      walked = joinPath(walked, name);
      fd = replaceFd(fd, opened);
    }
    return fd;
  } catch (thrown) {
    closeSync(fd);
    if (thrown instanceof SandboxError) throw thrown;
    const error = toFileError(thrown);
    const reason = error instanceof FileError ? error.message : String(thrown);
    throw new SandboxError(`${pathText(path)}: cannot open ${pathText(walked)}: ${reason}`, { cause: thrown });
  }
}

/** @returns the descriptor of a directory; what lstat says of a link. @throws whatever openSync does. */
function openDirectory(path: Buffer): number | Stats {
  try {
    return openSync(path, DIRECTORY_FLAGS);
  } catch (thrown) {
    // Few components are links: nothing else is asked about the others.
    const stats = (thrown as NodeJS.ErrnoException).code === 'ENOTDIR' ? lstatSync(path) : null;
    if (stats?.isSymbolicLink()) return stats;
    throw thrown;
  }
}

/** Another descriptor of an open root, for whoever outlives the first. @throws FileError */
export function duplicateModuleRoot(fd: number): number {
  try {
    return openSync(`${OWN_DESCRIPTORS}${fd}/.`, DIRECTORY_FLAGS);
  } catch (thrown) {
    throw toFileError(thrown);
  }
}

export function closeModuleRoot(fd: number): void {
  closeSync(fd);
}

function replaceFd(old: number, replacement: number): number {
  closeSync(old);
  return replacement;
}

function pathText(path: Buffer): string {
  return JSON.stringify(path.toString('latin1')).slice(1, -1);
}
