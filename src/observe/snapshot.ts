/** What event loops tell about their sessions: plain data, and its sum over all loops. */

import { addHistograms, type Histogram } from './histogram.ts';
import type { ProgressView } from './session-registry.ts';

/** A session that runs. Texts come from peers and configuration: escape them where they are shown. */
export interface LiveSessionData {
  /** Distinct among the live sessions of one loop. */
  readonly id: number;
  readonly peer: string;
  readonly port: number;
  readonly module: string | null;
  readonly user: string | null;
  readonly phase: string;
  readonly seconds: number;
  readonly files: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** It waits for a place in its module. */
  readonly isQueued: boolean;
  /** Of the last seconds. */
  readonly bytesPerSecond: number;
  /** Null when it cannot be foreseen. */
  readonly etaSec: number | null;
  readonly progress: ProgressView | null;
}

/** Counters of one module, running sessions included; the name '' stands for sessions that chose none. */
export interface ModuleTotals {
  readonly module: string;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly files: number;
}

export interface EndedSessions {
  readonly module: string;
  /** `ok` or the code of an error. */
  readonly outcome: string;
  readonly sessions: number;
}

/** How an event loop itself fares. */
export interface LoopHealth {
  /** `main`, or what its thread is called. */
  readonly loop: string;
  /** Lateness of timers since the snapshot before, in seconds. */
  readonly lagP50Sec: number;
  readonly lagP99Sec: number;
  readonly lagMaxSec: number;
  readonly heapUsedBytes: number;
}

/** One event loop, or the sum of several. */
export interface LoopSnapshot {
  readonly live: readonly LiveSessionData[];
  readonly ended: readonly EndedSessions[];
  readonly modules: readonly ModuleTotals[];
  readonly phases: readonly { readonly phase: string; readonly histogram: Histogram }[];
  /** Connections that met a cap. */
  readonly refused: number;
  /** What other parts count: `file_list_cache_hits` and the like. */
  readonly counters: readonly { readonly name: string; readonly value: number }[];
  /** As `counters`, for what goes up and down. */
  readonly gauges: readonly { readonly name: string; readonly value: number }[];
  /** Empty while nobody watches. */
  readonly loops: readonly LoopHealth[];
}

export const EMPTY_SNAPSHOT: LoopSnapshot = {
  live: [],
  ended: [],
  modules: [],
  phases: [],
  refused: 0,
  counters: [],
  gauges: [],
  loops: [],
};

/** The sum of all loops, each list in a stable order. */
export function sumSnapshots(snapshots: readonly LoopSnapshot[]): LoopSnapshot {
  const all = <T>(pick: (one: LoopSnapshot) => readonly T[]): T[] => snapshots.flatMap(pick);
  return {
    live: all(({ live }) => live).sort((a, b) => b.seconds - a.seconds),
    ended: sumBy(
      all(({ ended }) => ended),
      ({ module, outcome }) => `${module} ${outcome}`,
      (a, b) => ({ ...a, sessions: a.sessions + b.sessions }),
    ),
    modules: sumBy(
      all(({ modules }) => modules),
      ({ module }) => module,
      addModules,
    ),
    phases: sumBy(
      all(({ phases }) => phases),
      ({ phase }) => phase,
      (a, b) => ({ ...a, histogram: addHistograms(a.histogram, b.histogram) }),
    ),
    refused: snapshots.reduce((sum, { refused }) => sum + refused, 0),
    counters: sumBy(
      all(({ counters }) => counters),
      ({ name }) => name,
      addValues,
    ),
    gauges: sumBy(
      all(({ gauges }) => gauges),
      ({ name }) => name,
      addValues,
    ),
    loops: all(({ loops }) => loops),
  };
}

/** Bytes that all modules have sent; what sessions without a module cost is in it. */
export function bytesSentIn({ modules }: LoopSnapshot): number {
  return modules.reduce((sum, { bytesSent }) => sum + bytesSent, 0);
}

function addValues<T extends { readonly value: number }>(a: T, b: T): T {
  return { ...a, value: a.value + b.value };
}

function addModules(a: ModuleTotals, b: ModuleTotals): ModuleTotals {
  return {
    module: a.module,
    bytesSent: a.bytesSent + b.bytesSent,
    bytesReceived: a.bytesReceived + b.bytesReceived,
    files: a.files + b.files,
  };
}

/** Adds up the items of one key; sorted by key. */
function sumBy<T>(items: readonly T[], keyOf: (item: T) => string, add: (a: T, b: T) => T): T[] {
  const sums = new Map<string, T>();
  for (const item of items) {
    const key = keyOf(item);
    const old = sums.get(key);
    sums.set(key, old === undefined ? item : add(old, item));
  }
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sum]) => sum);
}
