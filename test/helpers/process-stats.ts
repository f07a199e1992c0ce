/** Memory and CPU time of a process, from /proc; the daemons' handles and the benchmark read them. */

import { readFileSync } from 'node:fs';

/** USER_HZ: fixed at 100 in every Linux ABI that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Largest resident size so far, in KiB; 0 when the process is gone. */
export function peakRssKiB(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Resident size now, in MiB; 0 when the process is gone. */
export function residentMiB(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** CPU seconds, user and system, of all threads and of all children that were waited for. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The program's name stands in parentheses and may hold spaces: count fields from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_SECOND;
}

/** CPU seconds that processes have had on one core, all of them; interrupts, which serve nobody in particular, are left out. */
export function coreSeconds(core: number): number {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'latin1'))?.[1] ?? '';
  const [user = 0, nice = 0, system = 0] = line.split(' ').map(Number);
  return (user + nice + system) / TICKS_PER_SECOND;
}

/** Children that run or were not waited for yet. */
export function childCount(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
  return children === '' ? 0 : children.split(' ').length;
}

/** Effective uid and gid. */
export function identityOf(pid: number): { uid: number; gid: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const effective = (key: string): number => Number(new RegExp(`^${key}:\\s+\\d+\\s+(\\d+)`, 'm').exec(status)?.[1]);
  return { uid: effective('Uid'), gid: effective('Gid') };
}
