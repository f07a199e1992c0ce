/** The bounds that hold for the process as a whole: their shared memory, made once, and how each worker counts against it. */

import { availableParallelism } from 'node:os';
import { Limiter } from '../compress/limiter.ts';
import type { LimitName, Limits } from '../limits.ts';
import { Admission } from '../listener/admission.ts';
import { FairAccept } from '../listener/fair-accept.ts';
import { KexGate } from '../listener/ssh/kex-gate.ts';
import { Penalties } from '../listener/ssh/penalties.ts';
import { LogBudget } from '../observe/session-log.ts';
import { HeldMemory } from '../session/held-memory.ts';
import { MAX_WORKERS, monotonicMs, type SharedArea, SharedCounts } from '../shared.ts';
import { SharedStore } from '../store/shared-store.ts';

const SIZES = {
  admission: Admission.BYTES,
  compression: Limiter.BYTES,
  logBudget: LogBudget.BYTES,
  sshKex: KexGate.BYTES,
  sshPenalties: Penalties.BYTES,
  tlsHandshakes: KexGate.BYTES,
  accepts: FairAccept.BYTES,
  proxyHeaders: SharedCounts.BYTES,
  heldMemory: HeldMemory.BYTES,
} as const;

/** Bytes of a page of each cache, and the bound on what it holds. */
const CACHES = {
  directories: { pageBytes: 2048, limit: 'listCacheBytes' },
  recordings: { pageBytes: 8192, limit: 'listCacheBytes' },
  digests: { pageBytes: 32, limit: 'digestCacheBytes' },
} as const satisfies Readonly<Record<string, { readonly pageBytes: number; readonly limit: LimitName }>>;

type CacheName = keyof typeof CACHES;

/** What holds one page of each. */
const SMALLEST_CACHE = 32 * 1024;

type CacheLimits = Pick<Limits, 'listCacheBytes' | 'digestCacheBytes'>;

type Part = keyof typeof SIZES | CacheName;

/** More jobs than these would take the processor from the event loops, and from every client that has asked for no compression. */
const CORES = availableParallelism();

/** One piece of memory for each bound; what a worker gets when it starts. */
export type SharedState = Readonly<Record<Part, SharedArrayBuffer>>;

/** The main thread's number when workers serve: it holds locks, and counts nothing. */
export const SUPERVISOR = MAX_WORKERS;

/** For one process. The memory of the caches costs nothing before it is used. */
export function newSharedState({ listCacheBytes, digestCacheBytes }: CacheLimits): SharedState {
  const sizes: Readonly<Record<Part, number>> = {
    ...SIZES,
    directories: wholeWords(listCacheBytes / 2),
    recordings: wholeWords(listCacheBytes / 2),
    digests: wholeWords(digestCacheBytes),
  };
  const parts = Object.entries(sizes).map(([part, bytes]) => [part, new SharedArrayBuffer(bytes)]);
  return Object.fromEntries(parts) as SharedState;
}

function wholeWords(bytes: number): number {
  return Math.max(SMALLEST_CACHE, Math.floor(bytes / 8) * 8);
}

/** The bounds as one worker meets them. */
export interface SharedBounds {
  readonly admission: Admission;
  readonly compression: Limiter;
  readonly logBudget: LogBudget;
  readonly sshKex: KexGate;
  readonly sshPenalties: Penalties;
  readonly tlsHandshakes: KexGate;
  readonly accepts: FairAccept;
  /** Connections whose PROXY header has not come yet. */
  readonly proxyHeaders: SharedCounts;
  readonly heldMemory: HeldMemory;
}

/** Over the same memory there may be several for one worker, with different limits: sessions keep those that they began with. */
export function boundsOver(state: SharedState, worker: number, limits: Limits): SharedBounds {
  const area = (part: Part): SharedArea => ({ memory: state[part], worker });
  // Each connection that waits for TLS is in a handshake: admission has counted it.
  const { tlsHandshakesPerSecond, handshakes } = limits;
  const tlsLimits = { sshKexPerSecond: tlsHandshakesPerSecond, sshKexWaiting: handshakes };
  return {
    admission: new Admission(limits, Math.random, area('admission')),
    compression: new Limiter(Math.min(limits.compressionJobs, CORES), area('compression')),
    logBudget: new LogBudget(limits, monotonicMs, area('logBudget')),
    sshKex: new KexGate(limits, area('sshKex')),
    sshPenalties: new Penalties(limits, monotonicMs, area('sshPenalties')),
    tlsHandshakes: new KexGate(tlsLimits, area('tlsHandshakes'), 'tlsHandshakesPerSecond'),
    accepts: new FairAccept(area('accepts')),
    proxyHeaders: new SharedCounts(area('proxyHeaders')),
    heldMemory: new HeldMemory(area('heldMemory')),
  };
}

/** What sessions of all workers keep for others. */
export type SharedCaches = Readonly<Record<CacheName, SharedStore>>;

/** The caches as one worker sees them: once in its life, since it counts what it holds. */
export function cachesOver(state: SharedState, worker: number): SharedCaches {
  const stores = Object.entries(CACHES).map(([part, cache]) => {
    const memory = state[part as CacheName];
    return [part, new SharedStore({ bytes: memory.byteLength, ...cache }, { memory, worker })];
  });
  return Object.fromEntries(stores) as SharedCaches;
}

/** Gives back everything that a dead worker held. */
export function forgetWorker(bounds: SharedBounds | SharedCaches, worker: number): void {
  for (const bound of Object.values(bounds) as { forget(worker: number): void }[]) bound.forget(worker);
}
