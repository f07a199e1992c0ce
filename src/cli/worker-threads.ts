/** Worker threads serve, and the main thread supervises them: `workers` above 1. */

import type { Config } from '../config/config.ts';
import { closeDescriptor } from '../config/descriptors.ts';
import { packConfig } from '../config/portable.ts';
import { SandboxError } from '../errors.ts';
import { limitHits } from '../limit-hits.ts';
import { type HeldSocket, holdSocket } from '../listener/tcp.ts';
import { type Death, WorkerPool } from '../listener/workers.ts';
import type { Logger } from '../observe/log.ts';
import type { LogBudget } from '../observe/session-log.ts';
import { SessionRegistry } from '../observe/session-registry.ts';
import { EMPTY_SNAPSHOT, type LoopSnapshot, sumSnapshots } from '../observe/snapshot.ts';
import { type KeyRing, packKeys } from './listener-keys.ts';
import type { HostTables } from './served-modules.ts';
import type { Pulse } from './serving.ts';
import {
  boundsOver,
  cachesOver,
  forgetWorker,
  newSharedState,
  type SharedBounds,
  type SharedCaches,
  SUPERVISOR,
} from './shared-state.ts';
import type { Work, WorkerData, WorkerOrder } from './worker.ts';
import type { OpenListener, PreparedListener, Workers, WorkersSetup } from './workers.ts';

/** How often workers are asked how they are. */
const PULSE_MS = 2000;

/** Without an answer for so long, a worker does not count as well; the service manager hears nothing from us then. */
const SILENCE_MS = 10_000;

/** What the last sessions get between being cut off and the end of their thread. */
const CUT_MS = 3000;

export interface ThreadsSetup extends WorkersSetup {
  readonly count: number;
  /** Null where FFI is missing: the first stage has left spare descriptors. */
  readonly duplicate: ((fd: number) => number) | null;
}

/** A listening socket and where further descriptors of it come from. */
class SharedSocket implements OpenListener {
  readonly addressText: string;
  readonly keys: KeyRing;
  readonly #fd: number;
  readonly #spares: number[];
  readonly #duplicate: ThreadsSetup['duplicate'];
  #isOpen = true;

  private constructor(held: HeldSocket, keys: KeyRing, spares: number[], duplicate: ThreadsSetup['duplicate']) {
    this.addressText = held.addressText;
    this.keys = keys;
    this.#fd = held.fd;
    this.#spares = spares;
    this.#duplicate = duplicate;
  }

  static async open(prepared: PreparedListener, duplicate: ThreadsSetup['duplicate']): Promise<SharedSocket> {
    const { place, keys, duplicates = [] } = prepared;
    const spares = [...duplicates];
    const held = await holdSocket(place, (fd) => take(fd, spares, duplicate));
    return new SharedSocket(held, keys, spares, duplicate);
  }

  /** A descriptor for one worker, which closes it. @throws SandboxError when there is none. */
  descriptor(): number {
    return take(this.#fd, this.#spares, this.#duplicate);
  }

  /** Further calls do nothing: by then the numbers may be other files'. */
  close(): void {
    if (this.#isOpen) for (const fd of [this.#fd, ...this.#spares]) closeDescriptor(fd);
    this.#isOpen = false;
  }
}

function take(fd: number, spares: number[], duplicate: ThreadsSetup['duplicate']): number {
  const taken = spares.shift() ?? duplicate?.(fd);
  if (taken === undefined) throw new SandboxError('no descriptor is left for a worker');
  return taken;
}

/** Several event loops. What goes wrong in one ends that one, and another takes its place. */
export class WorkerThreads implements Workers {
  readonly listeners: readonly SharedSocket[];
  readonly count: number;
  readonly failure: Promise<never>;
  readonly #pool: WorkerPool;
  readonly #logger: Logger;
  readonly #bounds: SharedBounds;
  readonly #caches: SharedCaches;
  /** Of the main thread, which has no sessions. */
  readonly #registry = new SessionRegistry();
  /** What workers that start from now on get; null before `start`. */
  #work: Work | null = null;
  #pulse: NodeJS.Timeout | null = null;
  #isWatched = false;
  #pulses: readonly Pulse[] = [];
  /** Sent by workers that are dead. */
  #bytesOfDead = 0;
  readonly #lastSnapshots = new Map<number, LoopSnapshot>();
  /** What workers that are dead have counted. */
  #snapshotOfDead = EMPTY_SNAPSHOT;

  private constructor(listeners: readonly SharedSocket[], setup: ThreadsSetup) {
    const { config, logger } = setup;
    const state = newSharedState(config.limits);
    const failure = Promise.withResolvers<never>();
    failure.promise.catch(() => {});
    this.listeners = listeners;
    this.count = setup.count;
    this.failure = failure.promise;
    this.#logger = logger;
    this.#bounds = boundsOver(state, SUPERVISOR, config.limits);
    this.#caches = cachesOver(state, SUPERVISOR);
    this.#registry.addCounter('worker_deaths', () => this.#pool.deaths);
    this.#pool = new WorkerPool({
      entry: setup.entry,
      count: setup.count,
      dataFor: (worker): WorkerData => ({
        ...{
          worker,
          state,
          limitHits: limitHits.storage,
          logLevel: config.logLevel,
          isWatched: this.#isWatched,
          work: this.#work!,
        },
        sockets: listeners.map((socket) => ({ fd: socket.descriptor(), keys: packKeys(socket.keys.current) })),
      }),
      onLines: (lines) => logger.writeLines(lines),
      onDeath: (death) => this.#bury(death),
      onHopeless: failure.reject,
    });
  }

  /** @throws ConfigError naming an address or a descriptor; nothing stays open then. */
  static async open(prepared: readonly PreparedListener[], setup: ThreadsSetup): Promise<WorkerThreads> {
    const sockets: SharedSocket[] = [];
    try {
      for (const one of prepared) sockets.push(await SharedSocket.open(one, setup.duplicate));
    } catch (error) {
      for (const socket of sockets) socket.close();
      throw error;
    }
    return new WorkerThreads(sockets, setup);
  }

  get deaths(): number {
    return this.#pool.deaths;
  }

  get isResponsive(): boolean {
    return this.#pool.isResponsive(SILENCE_MS);
  }

  get sessions(): number {
    return this.#bounds.admission.connections;
  }

  get bytesSent(): number {
    return this.#pulses.reduce((sum, one) => sum + one.bytesSent, this.#bytesOfDead);
  }

  get logBudget(): LogBudget {
    return this.#bounds.logBudget;
  }

  async start(config: Config, { idNames, rates, linkless, epoch }: HostTables, isWatched: boolean): Promise<void> {
    this.#isWatched = isWatched;
    if (isWatched) this.#registry.watchLoop('main');
    this.#work = { config: packConfig(config), idNames, rates, linkless, epoch };
    await this.#pool.start();
    this.#pulse = setInterval(() => {
      this.#pool.endHanging();
      if (this.#pool.isResponsive(PULSE_MS)) void this.#feelPulses();
    }, PULSE_MS);
    this.#pulse.unref();
  }

  async apply(config: Config, { idNames, rates, linkless, epoch }: HostTables): Promise<void> {
    this.#work = { config: packConfig(config), idNames, rates, linkless, epoch };
    await this.#pool.tellAll({ order: 'apply', work: this.#work } satisfies WorkerOrder);
  }

  async applyKeys(listener: number): Promise<void> {
    const keys = packKeys(this.listeners[listener]!.keys.current);
    await this.#pool.tellAll({ order: 'keys', listener, keys } satisfies WorkerOrder);
  }

  async snapshot(): Promise<LoopSnapshot[]> {
    const answers = await this.#pool.askAll<LoopSnapshot>({ order: 'snapshot' } satisfies WorkerOrder);
    for (const { worker, answer } of answers) this.#lastSnapshots.set(worker, answer);
    return [this.#registry.snapshot(), this.#snapshotOfDead, ...answers.map(({ answer }) => answer)];
  }

  async finish(graceMs: number, hurry: Promise<unknown>): Promise<void> {
    this.#pool.stopReplacing();
    for (const socket of this.listeners) socket.close();
    const finished = this.#pool.askAll({ order: 'finish' } satisfies WorkerOrder);
    const grace = Promise.withResolvers<void>();
    const timer = setTimeout(grace.resolve, graceMs);
    await Promise.race([finished, hurry, grace.promise]);
    clearTimeout(timer);
    void this.#pool.askAll({ order: 'cut' } satisfies WorkerOrder);
    const end = Promise.withResolvers<void>();
    const last = setTimeout(end.resolve, CUT_MS);
    await Promise.race([finished, end.promise]);
    clearTimeout(last);
    await this.close();
  }

  async close(): Promise<void> {
    if (this.#pulse !== null) clearInterval(this.#pulse);
    await this.#pool.end();
    for (const socket of this.listeners) socket.close();
  }

  async #feelPulses(): Promise<void> {
    const answers = await this.#pool.askAll<Pulse>({ order: 'pulse' } satisfies WorkerOrder);
    this.#pulses = answers.map(({ answer }) => answer);
  }

  #bury({ worker, reason, deaths }: Death): void {
    const sessions = this.#bounds.admission.forget(worker);
    forgetWorker(this.#bounds, worker);
    forgetWorker(this.#caches, worker);
    const pulse = this.#pulses.find((one) => one.worker === worker);
    this.#bytesOfDead += pulse?.bytesSent ?? 0;
    this.#pulses = this.#pulses.filter((one) => one !== pulse);
    const counted = { ...(this.#lastSnapshots.get(worker) ?? EMPTY_SNAPSHOT), live: [], loops: [] };
    this.#lastSnapshots.delete(worker);
    this.#snapshotOfDead = sumSnapshots([this.#snapshotOfDead, counted]);
    const fields = { worker, deaths, sessions };
    this.#logger.error({ ...fields, err: reason }, 'worker died: its sessions are cut off, another takes its place');
  }
}
