/**
 * Preloaded into a daemon under test (`--import`): on SIGUSR2 prints one line of JSON about the time since the signal before.
 * Production code knows nothing of it. In worker threads it measures nothing.
 */

import { isMainThread } from 'node:worker_threads';
import { limitHits } from '../../src/limit-hits.ts';

/** What a probe tells. */
export interface ProbeReport {
  /** Longest time in milliseconds that the event loop worked before it came round to its timers again: CPU, not wall time. */
  readonly longestTurnMs: number;
  readonly rssMiB: number;
  readonly heapMiB: number;
  /** Hits of each bound since the start, those without any left out. */
  readonly hits: Readonly<Record<string, number>>;
}

const TICK_MS = 2;
const MIB = 1024 * 1024;

if (isMainThread) {
  let longestTurnMs = 0;
  const cpuMs = (): number => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  let lastMs = cpuMs();
  setInterval(() => {
    const now = cpuMs();
    longestTurnMs = Math.max(longestTurnMs, now - lastMs);
    lastMs = now;
  }, TICK_MS).unref();
  process.on('SIGUSR2', () => {
    const { rss, heapUsed } = process.memoryUsage();
    const hits = Object.fromEntries([...limitHits.snapshot()].filter(([, count]) => count > 0));
    const report: ProbeReport = { longestTurnMs, rssMiB: rss / MIB, heapMiB: heapUsed / MIB, hits };
    process.stdout.write(`${JSON.stringify(report)}\n`);
    longestTurnMs = 0;
    lastMs = cpuMs();
  });
}
