/** Who serves: the main thread alone, or worker threads that it supervises; serve.ts sees no difference. */

import type { Config, LoadContext } from '../config/config.ts';
import type { RootLogger } from '../observe/log.ts';
import type { LogBudget } from '../observe/session-log.ts';
import type { LoopSnapshot } from '../observe/snapshot.ts';
import { loadDuplicate } from '../sandbox/syscalls.ts';
import { KeyRing, readListenerKeys } from './listener-keys.ts';
import type { ListenerPlan } from './listeners.ts';
import { MainThread } from './main-thread.ts';
import type { HostTables } from './served-modules.ts';
import { workerCount } from './worker-count.ts';

/** A socket that is open. */
export interface OpenListener {
  readonly addressText: string;
  /** What its connections get. */
  readonly keys: Pick<KeyRing, 'current' | 'reload'>;
}

/** All that serves. Made with open sockets; nobody is served before `start`. */
export interface Workers {
  /** In the order of the plans. */
  readonly listeners: readonly OpenListener[];
  /** Event loops. */
  readonly count: number;
  /** Worker threads that died and were replaced. */
  readonly deaths: number;
  /**
   * Begins to serve.
   * @param isWatched somebody will ask for snapshots.
   * @throws ConfigError, Bug when that fails.
   */
  start(config: Config, tables: HostTables, isWatched: boolean): Promise<void>;
  /** Sessions to come get this configuration; those that run keep theirs. Its listeners are not looked at. @throws ConfigError, Bug. */
  apply(config: Config, tables: HostTables): Promise<void>;
  /** Connections to come get the keys that the listener's ring holds now. */
  applyKeys(listener: number): Promise<void>;
  /** What each event loop is doing, and what those did that have died; a worker that just dies is left out. */
  snapshot(): Promise<LoopSnapshot[]>;
  /** Sessions that run. */
  readonly sessions: number;
  /** Sent to all clients since the start; of workers, as of two seconds ago. */
  readonly bytesSent: number;
  readonly logBudget: LogBudget;
  /** False when some worker has not answered for a while. */
  readonly isResponsive: boolean;
  /** Rejects when workers cannot be kept alive; never resolves. */
  readonly failure: Promise<never>;
  /** Accepts no more, waits for the sessions, cuts them off after `graceMs` or when `hurry` resolves. */
  finish(graceMs: number, hurry: Promise<unknown>): Promise<void>;
  /** Closes all sockets and ends all threads at once. Further calls do nothing. */
  close(): Promise<void>;
}

export interface WorkersSetup {
  readonly config: Config;
  readonly context: LoadContext;
  readonly plans: readonly ListenerPlan[];
  readonly logger: RootLogger;
  /** The file that Node was started with; workers start with it as well. */
  readonly entry: URL;
}

/** A planned listener with the content of its files. */
export interface PreparedListener extends ListenerPlan {
  readonly keys: KeyRing;
}

/**
 * Reads the files of all listeners and opens their sockets, for as many event loops as the configuration says.
 * @throws ConfigError naming a file, an address or a descriptor; nothing stays open then.
 */
export async function openWorkers(setup: WorkersSetup): Promise<Workers> {
  const { config, context, logger } = setup;
  const prepared = setup.plans.map((plan) => ({
    ...plan,
    keys: new KeyRing(readListenerKeys(plan.settings, context), context),
  }));
  const count = workerCount(config);
  if (count === 1) return MainThread.open(prepared, setup);
  const duplicate = await loadDuplicate().catch(() => null);
  // Each worker takes a descriptor, and so does the look at the socket before they start.
  const spares = Math.min(...prepared.map(({ duplicates = [] }) => duplicates.length));
  if (duplicate === null && spares <= count) {
    logger.warn({ workers: 1, wanted: count }, 'the main thread serves alone: workers need the FFI of Node (node:ffi)');
    return MainThread.open(prepared, setup);
  }
  const { WorkerThreads } = await import('./worker-threads.ts');
  return WorkerThreads.open(prepared, { ...setup, count, duplicate });
}
