/** Are the owners that stat(2) tells us the true ones? cli/serve.ts asks once at start. */

import { readFileSync } from 'node:fs';

/** Where the kernel says which ids of this process's user namespace stand for which ids outside; absent outside Linux. */
const MAPS = ['/proc/self/uid_map', '/proc/self/gid_map'];

/** All ids, each standing for itself. */
const IDENTITY = /^\s*0\s+0\s+4294967295\s*$/;

/** What an operator should know about owners in file lists; null when every owner is the true one. */
export function ownerWarning(readMap: (path: string) => string = readText): string | null {
  const isIdentity = MAPS.map(readMap).every((map) => map === '' || IDENTITY.test(map));
  if (isIdentity) return null;
  return 'user namespace: owners that have no id in it appear as 65534 in file lists (systemd: PrivateUsers=no shows the true ones)';
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
