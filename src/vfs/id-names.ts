/** User and group names of the host, read once at start (2-file-list.md 2.4). */

import { readFileSync } from 'node:fs';

/** Names travel with one length byte. */
const MAX_NAME_BYTES = 255;

/** Tables of users and groups, which `numeric_ids = false` and the `uid` of an rsyncd.conf need: a sandbox has to show them. */
export const NAME_TABLES = ['/etc/passwd', '/etc/group'] as const;

/** A whole table larger than this is not a passwd file. */
const MAX_TABLE_BYTES = 8 * 1024 * 1024;

/** The names of this host; none where a table is missing or unreadable. */
export function readHostNames(): { users: Map<number, Buffer>; groups: Map<number, Buffer> } {
  const [users, groups] = NAME_TABLES;
  return { users: readIdNames(users), groups: readIdNames(groups) };
}

/**
 * Reads a table in the format of passwd(5) or group(5): `name:password:id:…` lines.
 * @returns id → name; empty when the file is missing or unreadable. The first line of an id wins.
 */
export function readIdNames(path: string): Map<number, Buffer> {
  const names = new Map<number, Buffer>();
  let table: Buffer;
  try {
    table = readFileSync(path);
  } catch {
    return names;
  }
  if (table.length > MAX_TABLE_BYTES) return names;
  for (const line of table.toString('latin1').split('\n')) {
    const [name = '', , idText = ''] = line.split(':');
    const id = /^\d{1,10}$/.test(idText) ? Number(idText) : -1;
    // SECURITY: a name with control bytes would end up on the client's terminal.
    const isUsable = name.length > 0 && name.length <= MAX_NAME_BYTES && /^[!-~\x80-\xff]+$/.test(name);
    if (isUsable && id >= 0 && id <= 0xffffffff && !names.has(id)) names.set(id, Buffer.from(name, 'latin1'));
  }
  return names;
}
