/** Which module roots are mounts that follow no link; cli/ asks once for each configuration, module-root.ts relies on it. */

import { readFileSync } from 'node:fs';

/** What a path as text can hold without being spelled otherwise by the kernel (`\\040`) or by Node (two bytes). */
const SPELLED_ALIKE = /^[!-[\]-~]+$/;

/**
 * Paths at which a file system is mounted that follows no link, neither itself nor any mount below it: a path that begins so
 * never leaves the module, whatever is renamed meanwhile. Only for a process whose root directory is its own (sandbox/): anywhere
 * else somebody may change what lies above such a path.
 * @param mountinfo the content of /proc/self/mountinfo.
 */
export function linklessRoots(mountinfo = readMountinfo()): ReadonlySet<string> {
  const mounts = mountinfo
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [, , , , path = '', options = ''] = line.split(' ');
      return { path, isLinkless: options.split(',').includes('nosymfollow') };
    });
  const following = mounts.filter(({ isLinkless }) => !isLinkless);
  const roots = mounts.filter(
    ({ path }) =>
      path !== '/' &&
      SPELLED_ALIKE.test(path) &&
      // SECURITY: one mount that follows links, on top of it or below, and a path could lead out of the module.
      !following.some((other) => other.path === path || other.path.startsWith(`${path}/`)),
  );
  return new Set(roots.map(({ path }) => path));
}

function readMountinfo(): string {
  try {
    return readFileSync('/proc/self/mountinfo', 'latin1');
  } catch {
    // No /proc: then nothing is served at all.
    return '';
  }
}
