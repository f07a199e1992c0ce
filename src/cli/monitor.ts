/** What the monitoring listener shows: gathers the daemon's state from its event loops, and renders it; serve.ts makes one. */

import packageJson from '../../package.json' with { type: 'json' };
import type { Config } from '../config/config.ts';
import { limitHits } from '../limit-hits.ts';
import { listenMonitoring, type Page } from '../listener/monitoring.ts';
import type { InheritedDescriptor, Listener, TcpAddress } from '../listener/tcp.ts';
import type { DaemonFacts, DaemonState, Guarantee, Readiness, ShownListener } from '../observe/daemon-state.ts';
import type { RootLogger } from '../observe/log.ts';
import type { MetricsText } from '../observe/metrics.ts';
import type { LogBudget } from '../observe/session-log.ts';
import { bytesSentIn, EMPTY_SNAPSHOT, type LoopSnapshot, sumSnapshots } from '../observe/snapshot.ts';
import { Throughput } from '../observe/throughput.ts';
import { monotonicMs } from '../shared.ts';

/** Between two looks at the counters for the plot and the rates. */
const SAMPLE_MS = 1000;

/** A state this old is shown again: however often somebody asks, it is gathered twice a second at most. */
const FRESH_MS = 500;

const TEXT = 'text/plain; charset=utf-8';

/** Snapshots of all event loops. */
export type SnapshotSource = () => Promise<readonly LoopSnapshot[]> | readonly LoopSnapshot[];

/** One per process, in its main thread. */
export class Monitor {
  readonly #config: Config;
  readonly #logger: RootLogger;
  readonly #budgets: readonly LogBudget[];
  readonly #startedMs = monotonicMs();
  readonly #throughput = new Throughput(0, monotonicMs());
  readonly #listeners: Listener[] = [];
  #source: SnapshotSource = () => [];
  #readiness: Readiness = 'starting';
  #shownListeners: readonly ShownListener[] = [];
  #guarantees: readonly Guarantee[] = [];
  #metrics: Promise<MetricsText> | null = null;
  #snapshot: LoopSnapshot = EMPTY_SNAPSHOT;
  #gatheredMs = Number.NEGATIVE_INFINITY;
  #gathering: Promise<LoopSnapshot> | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(config: Config, logger: RootLogger, budgets: readonly LogBudget[] = []) {
    this.#config = config;
    this.#logger = logger;
    this.#budgets = budgets;
  }

  /** Begins to answer; `/readyz` fails until `ready`. @throws ConfigError naming the place. */
  async listen(places: readonly (TcpAddress | InheritedDescriptor)[]): Promise<readonly Listener[]> {
    const { limits } = this.#config;
    const onError = (thrown: unknown): void => this.#logger.error({ err: thrown }, 'monitoring page failed');
    for (const place of places) {
      this.#listeners.push(await listenMonitoring(place, (path) => this.page(path), limits, onError));
    }
    return this.#listeners;
  }

  /** Clients are taken from here on. */
  ready(source: SnapshotSource, listeners: readonly ShownListener[], guarantees: readonly Guarantee[]): void {
    this.#source = source;
    this.#shownListeners = listeners;
    this.#guarantees = guarantees;
    this.#readiness = 'ready';
    this.#timer = setInterval(() => void this.#gather().catch(() => {}), SAMPLE_MS);
    this.#timer.unref();
  }

  /** No new clients are taken any more; whoever balances load must look elsewhere. */
  draining(): void {
    this.#readiness = 'draining';
  }

  /** The daemon as it is now; the snapshot may be half a second old. */
  async state(): Promise<DaemonState> {
    const snapshot = await this.#gather();
    const cpu = process.cpuUsage();
    return {
      facts: this.#facts(),
      readiness: this.#readiness,
      now: new Date(),
      uptimeSec: (monotonicMs() - this.#startedMs) / 1000,
      snapshot,
      throughput: this.#throughput.bytesPerSecond,
      throughputSteps: this.#throughput.steps,
      limitHits: limitHits.snapshot(),
      rssBytes: process.memoryUsage.rss(),
      cpuSec: (cpu.user + cpu.system) / 1e6,
      logLinesDropped: this.#logger.droppedLines,
      logLinesSuppressed: this.#budgets.reduce((sum, { suppressedTotal }) => sum + suppressedTotal, 0),
    };
  }

  /** The answer to one path; null for what does not exist. */
  async page(path: string): Promise<Page | null> {
    switch (path) {
      case '/': {
        const { statusPage, statusPagePolicy } = await import('../observe/status-page.ts');
        return {
          status: 200,
          type: 'text/html; charset=utf-8',
          body: statusPage(await this.state()),
          policy: statusPagePolicy(),
        };
      }
      case '/metrics': {
        this.#metrics ??= import('../observe/metrics.ts').then(({ MetricsText }) => MetricsText.load());
        const metrics = await this.#metrics;
        return { status: 200, type: metrics.contentType, body: await metrics.render(await this.state()) };
      }
      case '/healthz':
        return { status: 200, type: TEXT, body: 'ok\n' };
      case '/readyz':
        return { status: this.#readiness === 'ready' ? 200 : 503, type: TEXT, body: `${this.#readiness}\n` };
      default:
        return null;
    }
  }

  /** Stops answering. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const listener of this.#listeners.splice(0)) await listener.close();
  }

  #gather(): Promise<LoopSnapshot> {
    if (monotonicMs() - this.#gatheredMs < FRESH_MS) return Promise.resolve(this.#snapshot);
    this.#gathering ??= this.#gatherNow().finally(() => {
      this.#gathering = null;
    });
    return this.#gathering;
  }

  async #gatherNow(): Promise<LoopSnapshot> {
    this.#snapshot = sumSnapshots(await this.#source());
    this.#gatheredMs = monotonicMs();
    this.#throughput.sample(bytesSentIn(this.#snapshot), this.#gatheredMs);
    return this.#snapshot;
  }

  #facts(): DaemonFacts {
    const { modules, limits } = this.#config;
    return {
      version: packageJson.version,
      nodeVersion: process.versions.node,
      maxConnections: limits.connections,
      modules: modules.map(({ name, comment, list, auth, maxConnections }) => ({
        ...{ name, comment, maxConnections },
        isListed: list,
        needsLogin: auth !== null,
      })),
      listeners: [
        ...this.#shownListeners,
        ...this.#listeners.map(({ addressText }) => ({ kind: 'http_monitoring', address: addressText })),
      ],
      guarantees: this.#guarantees,
    };
  }
}
