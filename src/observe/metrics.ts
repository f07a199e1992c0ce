/**
 * The state of the daemon in the words of Prometheus, through prom-client; monitoring.ts serves it as /metrics.
 *
 * prom-client is loaded by the first request: a daemon without a monitoring listener never pays for it.
 */

import type { MetricObject, MetricValue, Registry } from 'prom-client';
import type { DaemonState } from './daemon-state.ts';
import { BUCKETS_SEC, type Histogram } from './histogram.ts';
import type { LoopSnapshot } from './snapshot.ts';

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

interface MetricRow {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: (state: DaemonState) => readonly Sample[];
}

const PREFIX = 'gokr_rsyncd_';
const PHASES = `${PREFIX}phase_seconds`;

const one = (value: number): Sample[] => [[{}, value]];
const perModule = ({ modules }: LoopSnapshot, pick: (module: LoopSnapshot['modules'][number]) => number): Sample[] =>
  modules.map((totals) => [{ module: totals.module }, pick(totals)]);

/** Everything that has no buckets. The label `module` is empty for sessions that chose none. */
export const METRICS: readonly MetricRow[] = [
  {
    name: `${PREFIX}info`,
    type: 'gauge',
    help: 'Versions of the running daemon; always 1.',
    samples: ({ facts }) => [[{ version: facts.version, node: facts.nodeVersion }, 1]],
  },
  {
    name: `${PREFIX}ready`,
    type: 'gauge',
    help: '1 while the daemon takes clients, 0 while it starts or drains.',
    samples: ({ readiness }) => one(readiness === 'ready' ? 1 : 0),
  },
  {
    name: `${PREFIX}sessions_total`,
    type: 'counter',
    help: 'Ended sessions by module and outcome: ok, or the code of the error that ended them.',
    samples: ({ snapshot }) => snapshot.ended.map(({ module, outcome, sessions }) => [{ module, outcome }, sessions]),
  },
  {
    name: `${PREFIX}sessions_active`,
    type: 'gauge',
    help: 'Running sessions by module.',
    samples: ({ snapshot, facts }) => sessionsBy(snapshot.live, facts.modules),
  },
  {
    name: `${PREFIX}sessions_queued`,
    type: 'gauge',
    help: 'The part of the running sessions that waits for a place in its module.',
    samples: ({ snapshot, facts }) =>
      sessionsBy(
        snapshot.live.filter(({ isQueued }) => isQueued),
        facts.modules,
      ),
  },
  {
    name: `${PREFIX}connections_refused_total`,
    type: 'counter',
    help: 'Connections that met a cap before they became sessions.',
    samples: ({ snapshot }) => one(snapshot.refused),
  },
  {
    name: `${PREFIX}sent_bytes_total`,
    type: 'counter',
    help: 'Bytes sent to clients.',
    samples: ({ snapshot }) => perModule(snapshot, ({ bytesSent }) => bytesSent),
  },
  {
    name: `${PREFIX}received_bytes_total`,
    type: 'counter',
    help: 'Bytes received from clients.',
    samples: ({ snapshot }) => perModule(snapshot, ({ bytesReceived }) => bytesReceived),
  },
  {
    name: `${PREFIX}sent_files_total`,
    type: 'counter',
    help: 'Files whose content was sent.',
    samples: ({ snapshot }) => perModule(snapshot, ({ files }) => files),
  },
  {
    name: `${PREFIX}limit_hits_total`,
    type: 'counter',
    help: 'Times that a bound stopped a client, by its name in [limits].',
    samples: ({ limitHits }) => [...limitHits].map(([limit, hits]) => [{ limit }, hits]),
  },
  {
    name: `${PREFIX}events_total`,
    type: 'counter',
    help: 'What parts of the daemon count: hits and misses of the shared file lists and of the sums for -c, directories that sessions read for each other.',
    samples: ({ snapshot }) => snapshot.counters.map(({ name, value }) => [{ event: name }, value]),
  },
  {
    name: `${PREFIX}state`,
    type: 'gauge',
    help: 'What parts of the daemon hold now: bytes of the shared file lists and of the sums for -c.',
    samples: ({ snapshot }) => snapshot.gauges.map(({ name, value }) => [{ of: name }, value]),
  },
  {
    name: `${PREFIX}log_lines_lost_total`,
    type: 'counter',
    help: 'Log lines not written: dropped because the reader is slow, suppressed because of logLinesPerSecond.',
    samples: ({ logLinesDropped, logLinesSuppressed }) => [
      [{ reason: 'dropped' }, logLinesDropped],
      [{ reason: 'suppressed' }, logLinesSuppressed],
    ],
  },
  {
    name: `${PREFIX}sandbox_guarantee`,
    type: 'gauge',
    help: '1 for a guarantee of the sandbox that holds, 0 for one that does not.',
    samples: ({ facts }) => facts.guarantees.map(({ name, holds }) => [{ guarantee: name }, holds ? 1 : 0]),
  },
  {
    name: `${PREFIX}event_loop_lag_seconds`,
    type: 'gauge',
    help: 'Lateness of each event loop since the scrape before.',
    samples: ({ snapshot }) =>
      snapshot.loops.flatMap(({ loop, lagP50Sec, lagP99Sec, lagMaxSec }): Sample[] => [
        [{ loop, quantile: '0.5' }, lagP50Sec],
        [{ loop, quantile: '0.99' }, lagP99Sec],
        [{ loop, quantile: '1' }, lagMaxSec],
      ]),
  },
  {
    name: `${PREFIX}heap_used_bytes`,
    type: 'gauge',
    help: 'JavaScript heap in use, by event loop.',
    samples: ({ snapshot }) => snapshot.loops.map(({ loop, heapUsedBytes }) => [{ loop }, heapUsedBytes]),
  },
  {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    help: 'Resident memory of the process.',
    samples: ({ rssBytes }) => one(rssBytes),
  },
  {
    name: 'process_cpu_seconds_total',
    type: 'counter',
    help: 'Processor time of the process, all threads.',
    samples: ({ cpuSec }) => one(cpuSec),
  },
  {
    name: 'process_start_time_seconds',
    type: 'gauge',
    help: 'When the daemon started, in seconds since 1970.',
    samples: ({ now, uptimeSec }) => one(now.getTime() / 1000 - uptimeSec),
  },
];

/** Names of all time series families, for documentation and the dashboard's test. */
export function metricNames(): string[] {
  return [...METRICS.map(({ name }) => name), PHASES];
}

/** Renders states as the text that Prometheus scrapes. */
export class MetricsText {
  readonly #registry: Registry;
  #state: DaemonState | null = null;

  private constructor(registry: Registry) {
    this.#registry = registry;
    for (const row of METRICS)
      this.#register(row.name, row.type, row.help, (state) => row.samples(state).map(plainValue));
    this.#register(PHASES, 'histogram', 'Time that sessions spend in each phase.', ({ snapshot }) =>
      snapshot.phases.flatMap(({ phase, histogram }) => bucketValues(phase, histogram)),
    );
  }

  /** Loads prom-client. */
  static async load(): Promise<MetricsText> {
    const { Registry } = await import('prom-client');
    return new MetricsText(new Registry());
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  async render(state: DaemonState): Promise<string> {
    this.#state = state;
    return this.#registry.metrics();
  }

  /**
   * prom-client's own counters and histograms hold state and only grow by increments; ours is counted elsewhere, in threads that it
   * knows nothing of. What its registry asks of a metric is a name and `get`.
   */
  #register(
    name: string,
    type: string,
    help: string,
    values: (state: DaemonState) => (MetricValue<string> & { metricName?: string })[],
  ): void {
    const metric = {
      name,
      get: async (): Promise<MetricObject> =>
        ({
          name,
          help,
          type,
          values: this.#state === null ? [] : values(this.#state),
          aggregator: 'sum',
        }) as unknown as MetricObject,
    };
    this.#registry.registerMetric(metric as unknown as Parameters<Registry['registerMetric']>[0]);
  }
}

function plainValue([labels, value]: Sample): MetricValue<string> {
  return { labels: { ...labels }, value };
}

function bucketValues(phase: string, { counts, sumSec, count }: Histogram) {
  let below = 0;
  const buckets = [...BUCKETS_SEC, '+Inf'].map((le, index) => {
    below += counts[index]!;
    return { labels: { phase, le }, value: below, metricName: `${PHASES}_bucket` };
  });
  return [
    ...buckets,
    { labels: { phase }, value: sumSec, metricName: `${PHASES}_sum` },
    { labels: { phase }, value: count, metricName: `${PHASES}_count` },
  ];
}

function sessionsBy(live: LoopSnapshot['live'], modules: readonly { readonly name: string }[]): Sample[] {
  const counts = new Map(['', ...modules.map(({ name }) => name)].map((name) => [name, 0]));
  for (const { module } of live) counts.set(module ?? '', (counts.get(module ?? '') ?? 0) + 1);
  return [...counts].map(([module, count]) => [{ module }, count]);
}
