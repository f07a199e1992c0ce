/** The handle of a started daemon, ours or the reference's, and how its process is ended. */

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

export interface RunningDaemon {
  readonly name: 'ours' | 'reference';
  readonly port: number;
  readonly pid: number;
  /** Lines written to standard error so far. */
  logs(): readonly string[];
  /** Largest resident size so far; of the parent alone where the daemon forks. */
  peakRssKiB(): number;
  /** Ends the daemon and removes what it was started with. */
  stop(): Promise<void>;
}

/** Asks a child to end, and makes it end after five seconds. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
  await closed;
  clearTimeout(timer);
}
