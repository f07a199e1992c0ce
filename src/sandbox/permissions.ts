/** Mode and ownership in the words of `ls -l`, for the findings of verify.ts. */

/** What decides who may write an entry. */
export interface Ownership {
  mode: number;
  uid: number;
  gid: number;
}

const TYPE_MASK = 0o170000;
const TYPE_DIRECTORY = 0o040000;

/** Ids that mean the same everywhere; other names would need a user database that the sandbox does not hold. */
const WELL_KNOWN: Readonly<Record<number, string>> = { 0: 'root', 65534: 'nobody' };

/** Which rule lets this process write an entry that it was found to be able to write. */
export function whyWritable({ mode, uid, gid }: Ownership): string {
  const octal = (mode & 0o7777).toString(8).padStart(4, '0');
  const euid = process.geteuid?.();
  if (euid === 0) return 'this process is root, which no mode stops';
  if (uid === euid) return `this process owns it (mode ${octal})`;
  const groups = [process.getegid?.(), ...(process.getgroups?.() ?? [])];
  if (groups.includes(gid) && mode & 0o020) return `mode ${octal} lets our group ${nameOf(gid)} write`;
  if (mode & 0o002) return `mode ${octal} lets everybody write`;
  return 'an access control list or a capability of this process allows it';
}

/** `drwxrwxrwt root:root`. */
export function permissionText({ mode, uid, gid }: Ownership): string {
  const type = (mode & TYPE_MASK) === TYPE_DIRECTORY ? 'd' : '-';
  return `${type}${modeText(mode)} ${nameOf(uid)}:${nameOf(gid)}`;
}

function modeText(mode: number): string {
  const letters = Array.from('rwxrwxrwx', (letter, index) => (mode & (0o400 >> index) ? letter : '-'));
  if (mode & 0o4000) letters[2] = letters[2] === 'x' ? 's' : 'S';
  if (mode & 0o2000) letters[5] = letters[5] === 'x' ? 's' : 'S';
  if (mode & 0o1000) letters[8] = letters[8] === 'x' ? 't' : 'T';
  return letters.join('');
}

function nameOf(id: number): string {
  return WELL_KNOWN[id] ?? String(id);
}
