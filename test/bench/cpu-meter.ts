/** CPU time of a server and of everything it starts: a control group where one can be made, else /proc; measure.ts reads it. */

import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { childCount, cpuSeconds } from '../helpers/process-stats.ts';

export interface CpuMeter {
  /** Seconds so far; children that have just ended are complete. */
  read(): Promise<number>;
  /** All processes of the server. */
  pids(): number[];
  close(): void;
}

/** Exact to the microsecond in a group of control (version 2, root), else to 0.01 s. @param pid a process without children. */
export function openCpuMeter(pid: number): CpuMeter {
  return groupMeter(pid) ?? procMeter(pid);
}

function groupMeter(pid: number): CpuMeter | null {
  const mount = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'latin1'))?.[1];
  if (mount === undefined) return null;
  const group = join(mount, `rsyncd-bench-${process.pid}-${pid}`);
  try {
    mkdirSync(group);
    writeFileSync(join(group, 'cgroup.procs'), String(pid));
  } catch {
    return null;
  }
  return {
    read: async () => {
      const usage = /^usage_usec (\d+)/m.exec(readFileSync(join(group, 'cpu.stat'), 'latin1'))![1]!;
      return Number(usage) / 1e6;
    },
    pids: () => readFileSync(join(group, 'cgroup.procs'), 'latin1').trim().split('\n').filter(Boolean).map(Number),
    close: () => {
      try {
        rmdirSync(group);
      } catch {
        // A process of it is still ending; the empty group is harmless.
      }
    },
  };
}

function procMeter(pid: number): CpuMeter {
  return {
    read: async () => {
      // The kernel adds a child's time to its parent when the parent has waited for it.
      for (let attempt = 0; attempt < 200 && childCount(pid) > 0; attempt++) await delay(25);
      return cpuSeconds(pid);
    },
    pids: () => {
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
      return [pid, ...children.split(' ').filter(Boolean).map(Number)];
    },
    close: () => {},
  };
}
