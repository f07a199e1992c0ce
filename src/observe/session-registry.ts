/**
 * The sessions of one event loop, live and past, as plain data that can be sent between threads and summed; metrics, status page
 * and terminal show it.
 */

import { monotonicMs } from '../shared.ts';
import { emptyHistogram, type Histogram, observeValue } from './histogram.ts';
import { LoopLag } from './loop-lag.ts';
import type { SessionRecord } from './session-log.ts';
import type { LiveSessionData, LoopSnapshot, ModuleTotals } from './snapshot.ts';

/** How far a transfer has come. */
export interface ProgressView {
  /** Entries that the client knows, and the bytes in them. */
  readonly entries: number;
  readonly listedBytes: number;
  /** The part of them that is behind the client, because it has got it or did not want it. */
  readonly passedBytes: number;
  /** False while directories are still to be listed: the figures above grow then. */
  readonly isListComplete: boolean;
  /** Time that listing took so far. */
  readonly listMs: number;
  /** Path of the newest file from the module root, printable; null before the first. */
  readonly file: string | null;
}

/** What a running session shows of itself. */
export interface SessionView {
  readonly record: Readonly<SessionRecord>;
  /** What it is doing, as in watchdog.ts: "the transfer". */
  readonly phase: string;
  /** Clients ahead of it in the queue of its module; null when it waits for no place. */
  readonly ahead: number | null;
  readonly seconds: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Null before the transfer. */
  readonly progress: ProgressView | null;
}

/** A session of this event loop. */
export interface LiveSession {
  /** Called for each snapshot, never by the data path. */
  view(): SessionView;
}

/** Rates are measured over at least this time; shorter ones jump. */
const RATE_WINDOW_MS = 900;

/** Weight of the newest measurement in a rate. */
const NEWEST = 0.4;

interface Entry {
  readonly session: LiveSession;
  readonly id: number;
  readonly startedMs: number;
  sampledMs: number;
  bytesSent: number;
  passedBytes: number;
  /** Bytes per second on the wire, and of the listed bytes. */
  rate: number;
  passingRate: number;
}

/** Label of sessions that chose no module. Module names are never empty. */
const NO_MODULE = '';

/** Counts what happens to sessions. One per event loop. */
export class SessionRegistry {
  readonly #now: () => number;
  readonly #live = new Map<LiveSession, Entry>();
  readonly #ended = new Map<string, { module: string; outcome: string; sessions: number }>();
  readonly #modules = new Map<string, { bytesSent: number; bytesReceived: number; files: number }>();
  readonly #phases = new Map<string, Histogram>();
  readonly #counters = new Map<string, () => number>();
  readonly #gauges = new Map<string, () => number>();
  #lag: LoopLag | null = null;
  #refused = 0;
  #nextId = 1;

  /** @param now milliseconds of a clock that never goes back. */
  constructor(now: () => number = monotonicMs) {
    this.#now = now;
  }

  /** A session begins. */
  begin(session: LiveSession): void {
    const startedMs = this.#now();
    const fresh = { bytesSent: 0, passedBytes: 0, rate: 0, passingRate: 0 };
    this.#live.set(session, { session, id: this.#nextId++, startedMs, sampledMs: startedMs, ...fresh });
  }

  /** A session has ended: `record` is what its line in the log says. */
  end(session: LiveSession, record: SessionRecord): void {
    this.#live.delete(session);
    const module = record.module ?? NO_MODULE;
    const { outcome } = record;
    const key = `${module} ${outcome}`;
    const ended = this.#ended.get(key) ?? { module, outcome, sessions: 0 };
    ended.sessions++;
    this.#ended.set(key, ended);
    addTotals(this.#modules, module, record);
  }

  /** A phase of a session has ended. @param name as in watchdog.ts. */
  phaseEnded(name: string, ms: number): void {
    const phase = name.replace(/^the /, '');
    if (phase === 'start') return;
    let histogram = this.#phases.get(phase);
    if (histogram === undefined) {
      histogram = emptyHistogram();
      this.#phases.set(phase, histogram);
    }
    observeValue(histogram, ms / 1000);
  }

  /** A connection met a cap before it became a session. */
  connectionRefused(): void {
    this.#refused++;
  }

  /** Shows a counter of another part under `name`, in the words of metrics: `file_list_cache_hits`. */
  addCounter(name: string, value: () => number): void {
    this.#counters.set(name, value);
  }

  /** As `addCounter`, for what goes up and down: `file_list_cache_bytes`. */
  addGauge(name: string, value: () => number): void {
    this.#gauges.set(name, value);
  }

  /** Measures this event loop from here on. Costs a timer: only where somebody will look. @param loop its name. */
  watchLoop(loop: string): void {
    this.#lag ??= new LoopLag(loop);
  }

  /** Everything as it is now. */
  snapshot(): LoopSnapshot {
    const now = this.#now();
    const live = [...this.#live.values()].map((entry) => this.#liveData(entry, now));
    const modules = new Map([...this.#modules].map(([name, totals]) => [name, { ...totals }]));
    // A session without a module counts when it ends: its bytes would have to move later, and counters never fall.
    for (const { module, ...totals } of live) if (module !== null) addTotals(modules, module, totals);
    return {
      live,
      ended: [...this.#ended.values()].map((one) => ({ ...one })),
      modules: [...modules].map(([module, totals]): ModuleTotals => ({ module, ...totals })),
      phases: [...this.#phases].map(([phase, histogram]) => ({
        phase,
        histogram: { ...histogram, counts: [...histogram.counts] },
      })),
      refused: this.#refused,
      counters: [...this.#counters].map(([name, value]) => ({ name, value: value() })),
      gauges: [...this.#gauges].map(([name, value]) => ({ name, value: value() })),
      loops: this.#lag === null ? [] : [this.#lag.take()],
    };
  }

  #liveData(entry: Entry, now: number): LiveSessionData {
    const { record, seconds, bytesSent, bytesReceived, progress, ...stage } = entry.session.view();
    measure(entry, now, bytesSent, progress?.passedBytes ?? 0);
    const leftBytes = progress === null ? 0 : progress.listedBytes - progress.passedBytes;
    const isForeseeable = progress?.isListComplete === true && entry.passingRate > 0 && leftBytes > 0;
    const { peer, port, module, user, files } = record;
    return {
      id: entry.id,
      ...{ peer, port, module, user, phase: phaseText(stage, progress), seconds, files, bytesSent, bytesReceived },
      bytesPerSecond: entry.rate,
      isQueued: stage.ahead !== null,
      etaSec: isForeseeable ? leftBytes / entry.passingRate : null,
      progress,
    };
  }
}

/** Listing is a part of the transfer, but not for somebody who waits for its first byte. */
function phaseText({ phase, ahead }: Pick<SessionView, 'phase' | 'ahead'>, progress: ProgressView | null): string {
  if (ahead !== null) return `queue, ${ahead} ahead`;
  const isListing = progress !== null && progress.file === null && !progress.isListComplete;
  return isListing ? 'file list' : phase.replace(/^the /, '');
}

/** Brings the rates of a session up to date, when enough time has passed to measure one. */
function measure(entry: Entry, now: number, bytesSent: number, passedBytes: number): void {
  const ms = now - entry.sampledMs;
  if (ms < RATE_WINDOW_MS) return;
  const isFirst = entry.sampledMs === entry.startedMs;
  const mixed = (old: number, bytes: number): number => {
    const measured = (bytes * 1000) / ms;
    return isFirst ? measured : old * (1 - NEWEST) + measured * NEWEST;
  };
  entry.rate = mixed(entry.rate, bytesSent - entry.bytesSent);
  entry.passingRate = mixed(entry.passingRate, passedBytes - entry.passedBytes);
  Object.assign(entry, { sampledMs: now, bytesSent, passedBytes });
}

function addTotals(
  totals: Map<string, { bytesSent: number; bytesReceived: number; files: number }>,
  module: string,
  { bytesSent, bytesReceived, files }: Readonly<Omit<ModuleTotals, 'module'>>,
): void {
  const old = totals.get(module) ?? { bytesSent: 0, bytesReceived: 0, files: 0 };
  totals.set(module, {
    bytesSent: old.bytesSent + bytesSent,
    bytesReceived: old.bytesReceived + bytesReceived,
    files: old.files + files,
  });
}
