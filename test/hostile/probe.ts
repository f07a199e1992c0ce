/**
 * Preloaded into a daemon under test (`--import`): on SIGUSR2 prints one line of JSON about the time since the signal before.
 * Production code knows nothing of it. In worker threads it measures nothing.
 */

import { PerformanceObserver } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';
import { limitHits } from '../../src/limit-hits.ts';

/** What a probe tells. */
export interface ProbeReport {
  /** Longest time in milliseconds that the event loop worked before it came round to its timers again: CPU, not wall time. */
  readonly longestTurnMs: number;
  /** How much of that turn the garbage collector took. */
  readonly collectorMs: number;
  readonly rssMiB: number;
  readonly heapMiB: number;
  /** Hits of each bound since the start, those without any left out. */
  readonly hits: Readonly<Record<string, number>>;
}

const TICK_MS = 2;
const MIB = 1024 * 1024;

if (isMainThread) {
  /** The longest turn: its CPU time, and when it was. */
  let longest = { ms: 0, from: 0, to: 0 };
  let collections: { readonly startTime: number; readonly duration: number }[] = [];
  const collector = new PerformanceObserver((seen) => collections.push(...seen.getEntries()));
  collector.observe({ entryTypes: ['gc'] });
  const cpuMs = (): number => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  let lastMs = cpuMs();
  let lastAt = performance.now();
  setInterval(() => {
    const [now, at] = [cpuMs(), performance.now()];
    if (now - lastMs > longest.ms) longest = { ms: now - lastMs, from: lastAt, to: at };
    [lastMs, lastAt] = [now, at];
  }, TICK_MS).unref();
  const collectorMs = (): number =>
    collections
      .filter(({ startTime }) => startTime >= longest.from && startTime <= longest.to)
      .reduce((sum, { duration }) => sum + duration, 0);
  process.on('SIGUSR2', () => {
    const { rss, heapUsed } = process.memoryUsage();
    const hits = Object.fromEntries([...limitHits.snapshot()].filter(([, count]) => count > 0));
    const report: ProbeReport = {
      ...{ longestTurnMs: longest.ms, collectorMs: collectorMs(), hits },
      ...{ rssMiB: rss / MIB, heapMiB: heapUsed / MIB },
    };
    process.stdout.write(`${JSON.stringify(report)}\n`);
    longest = { ms: 0, from: 0, to: 0 };
    collections = [];
    [lastMs, lastAt] = [cpuMs(), performance.now()];
  });
}
