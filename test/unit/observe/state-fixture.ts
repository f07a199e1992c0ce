/** A state of the daemon with one running session, for what shows it. */
import type { DaemonState } from '../../../src/observe/daemon-state.ts';
import { emptyHistogram, observeValue } from '../../../src/observe/histogram.ts';
import type { LiveSessionData } from '../../../src/observe/snapshot.ts';

export const LIVE: LiveSessionData = {
  ...{ id: 1, peer: '192.0.2.7', port: 40_000, module: 'pub', user: 'alice', phase: 'transfer', seconds: 75 },
  ...{ files: 3, bytesSent: 5_242_880, bytesReceived: 100, bytesPerSecond: 1_048_576, etaSec: 5 },
  isQueued: false,
  progress: {
    ...{ entries: 1234, listedBytes: 10_485_760, passedBytes: 5_242_880, isListComplete: true, listMs: 5 },
    file: 'dir/file',
  },
};

export function stateWith(changes: Partial<DaemonState> = {}): DaemonState {
  const histogram = emptyHistogram();
  observeValue(histogram, 0.02);
  observeValue(histogram, 7200);
  return {
    facts: {
      ...{ version: '1.2.3', nodeVersion: '26.10.0', maxConnections: 512 },
      modules: [{ name: 'pub', comment: 'public files', isListed: true, needsLogin: false, maxConnections: 20 }],
      listeners: [{ kind: 'rsyncd', address: '[::]:873' }],
      guarantees: [{ name: 'no writing', holds: true, detail: 'tried' }],
    },
    readiness: 'ready',
    now: new Date(Date.UTC(2026, 10, 28, 12)),
    uptimeSec: 3600,
    snapshot: {
      live: [LIVE],
      ended: [{ module: 'pub', outcome: 'ok', sessions: 2 }],
      modules: [{ module: 'pub', bytesSent: 5_242_880, bytesReceived: 100, files: 3 }],
      phases: [{ phase: 'login', histogram }],
      refused: 4,
      counters: [{ name: 'file_list_cache_hits', value: 9 }],
      gauges: [{ name: 'file_list_cache_bytes', value: 4096 }],
      loops: [{ loop: 'main', lagP50Sec: 0.001, lagP99Sec: 0.01, lagMaxSec: 0.02, heapUsedBytes: 1000 }],
    },
    throughput: [0, 1_048_576, 524_288],
    throughputSteps: 3,
    limitHits: new Map([
      ['connections', 3],
      ['args', 0],
    ]),
    ...{ rssBytes: 104_857_600, cpuSec: 1.5, logLinesDropped: 1, logLinesSuppressed: 2 },
    ...changes,
  };
}
