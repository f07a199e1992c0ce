/** SIGHUP: the configuration is read again, checked as at the start, and given to the sessions to come; serve.ts makes one. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { Bug, RsyncError } from '../errors.ts';
import type { Logger } from '../observe/log.ts';
import type { ServiceNotifier } from '../observe/notify.ts';
import { assertReadOnly } from '../sandbox/verify.ts';
import { closeModuleRoot, openModuleRoot } from '../vfs/open-root.ts';
import { type HostTables, loadHostTables } from './served-modules.ts';

/**
 * How long one module may be searched for what we could write: running sessions wait meanwhile. The start takes its time,
 * this is to find a module that was added without a read-only view.
 */
const VERIFY_MS = 100;

/** What stays as it was at the start, by the name of its key: sockets are open, threads run. */
const FIXED: readonly (readonly [key: string, value: (config: Config) => unknown])[] = [
  ['listener', ({ listeners }) => listeners],
  ['log_level', ({ logLevel }) => logLevel],
  ['workers', ({ workers }) => workers],
  ['limits.listCacheBytes', ({ limits }) => limits.listCacheBytes],
  ['limits.digestCacheBytes', ({ limits }) => limits.digestCacheBytes],
];

export interface ReloadSteps {
  /** Reads the configuration from where it came from. @throws ConfigError. */
  readonly read: () => Config;
  /** Gives it to the sessions to come. @throws RsyncError. */
  readonly apply: (config: Config, tables: HostTables) => Promise<void>;
  /** Reads the files of the listeners, which may change when the configuration does not; never throws. */
  readonly readKeys: (config: Config) => void;
  readonly logger: Logger;
  /** Whether this process sees nothing but what it started with. */
  readonly ownRoot: boolean;
  readonly manager: Pick<ServiceNotifier, 'reloading' | 'reloaded'>;
}

/** One per daemon. Sessions that run are never touched; a configuration that is wrong changes nothing. */
export class Reload {
  readonly #steps: ReloadSteps;
  #current: Config;
  #isRunning = false;
  #isWanted = false;

  /** @param config the one of the start. */
  constructor(config: Config, steps: ReloadSteps) {
    this.#current = config;
    this.#steps = steps;
  }

  /** For the signal: begins a reload; during one, asks for one more after it. Never throws. */
  request(): void {
    this.#isWanted = true;
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    const { manager, readKeys } = this.#steps;
    this.#isRunning = true;
    manager.reloading();
    while (this.#isWanted) {
      this.#isWanted = false;
      await this.#replace();
      readKeys(this.#current);
    }
    manager.reloaded();
    this.#isRunning = false;
  }

  async #replace(): Promise<void> {
    const { read, apply, logger, ownRoot } = this.#steps;
    try {
      const next = read();
      await checkModules(next);
      await apply(next, await loadHostTables(next, ownRoot));
      this.#announce(next);
      this.#current = next;
    } catch (thrown) {
      if (!(thrown instanceof RsyncError) || thrown instanceof Bug) logger.error({ err: thrown }, 'internal error');
      const detail = thrown instanceof Error ? thrown.message : String(thrown);
      const hint = ownRoot ? { hint: 'new paths and replaced files are out of sight until a restart' } : {};
      logger.error({ detail, ...hint }, 'configuration not read again: that of before stays in force');
    }
  }

  #announce(next: Config): void {
    const { logger } = this.#steps;
    for (const warning of next.warnings) logger.warn(warning);
    const fixed = FIXED.filter(([, value]) => !isEqual(value(next), value(this.#current))).map(([key]) => key);
    if (fixed.length > 0) logger.warn({ keys: fixed }, 'changed, but in force only after a restart');
    const modules = next.modules.map(({ name }) => name);
    logger.info({ file: next.file, modules }, 'configuration read again: for connections from now on');
  }
}

/** @throws SandboxError for a module that cannot be opened, or that we could write. */
async function checkModules({ modules, limits }: Config): Promise<void> {
  for (const module of modules) {
    // SECURITY: as at the start, a root behind a stranger's link is refused (CVE-2026-53784).
    closeModuleRoot(openModuleRoot(Buffer.from(module.path), limits));
    assertReadOnly([module], { ms: VERIFY_MS });
    await nextTurn();
  }
}

function isEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
