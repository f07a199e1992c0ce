/** The main thread serves, and there is no other: `workers = 1`. */

import type { Config } from '../config/config.ts';
import type { LogBudget } from '../observe/session-log.ts';
import type { LoopSnapshot } from '../observe/snapshot.ts';
import type { HostTables } from './served-modules.ts';
import { Serving } from './serving.ts';
import { boundsOver, newSharedState } from './shared-state.ts';
import type { OpenListener, PreparedListener, Workers, WorkersSetup } from './workers.ts';

/** One event loop. What goes wrong in it ends the process, and whoever started that starts it again. */
export class MainThread implements Workers {
  readonly listeners: readonly OpenListener[];
  readonly count = 1;
  readonly deaths = 0;
  readonly isResponsive = true;
  readonly failure = new Promise<never>(() => {});
  readonly logBudget: LogBudget;
  readonly #serving: Serving;

  private constructor(listeners: readonly OpenListener[], serving: Serving, logBudget: LogBudget) {
    this.listeners = listeners;
    this.logBudget = logBudget;
    this.#serving = serving;
  }

  /** @throws ConfigError naming an address or a descriptor; nothing stays open then. */
  static async open(prepared: readonly PreparedListener[], { config, logger }: WorkersSetup): Promise<MainThread> {
    const state = newSharedState(config.limits);
    const serving = new Serving({ worker: 0, state, logger, limits: config.limits });
    const listeners: OpenListener[] = [];
    try {
      for (const { place, keys } of prepared) {
        const { addressText } = await serving.listen(place, () => keys.current);
        listeners.push({ addressText, keys });
      }
    } catch (error) {
      await serving.close();
      throw error;
    }
    return new MainThread(listeners, serving, boundsOver(state, 0, config.limits).logBudget);
  }

  async start(config: Config, tables: HostTables, isWatched: boolean): Promise<void> {
    if (isWatched) this.#serving.registry.watchLoop('main');
    await this.apply(config, tables);
  }

  async apply(config: Config, tables: HostTables): Promise<void> {
    this.#serving.apply(config, tables);
  }

  /** Connections ask the ring itself. */
  async applyKeys(): Promise<void> {}

  async snapshot(): Promise<LoopSnapshot[]> {
    return [this.#serving.registry.snapshot()];
  }

  get sessions(): number {
    return this.#serving.sessions.count;
  }

  get bytesSent(): number {
    return this.#serving.sessions.bytesSent;
  }

  async finish(graceMs: number, hurry: Promise<unknown>): Promise<void> {
    const { sessions } = this.#serving;
    await this.close();
    const cut = setTimeout(() => sessions.destroyAll(), graceMs);
    await Promise.race([sessions.finished(), hurry.then(() => sessions.destroyAll())]);
    await sessions.finished();
    clearTimeout(cut);
  }

  async close(): Promise<void> {
    await this.#serving.close();
  }
}
