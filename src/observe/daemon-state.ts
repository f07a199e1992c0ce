/** Everything that an operator is shown of the daemon at one moment; cli/monitor.ts gathers it. */

import type { LoopSnapshot } from './snapshot.ts';

/** A promise of the sandbox and whether it holds. */
export interface Guarantee {
  readonly name: string;
  readonly holds: boolean;
  /** How it was found out, or what keeps it from holding. */
  readonly detail: string;
}

export interface ShownModule {
  readonly name: string;
  readonly comment: string;
  readonly isListed: boolean;
  readonly needsLogin: boolean;
  /** 0: no limit of its own. */
  readonly maxConnections: number;
}

export interface ShownListener {
  /** The key of the configuration that names it. */
  readonly kind: string;
  readonly address: string;
}

/** `ready` takes clients; the other two do not. */
export type Readiness = 'starting' | 'ready' | 'draining';

/** Does not change while the daemon runs, or only by a reload. */
export interface DaemonFacts {
  readonly version: string;
  readonly nodeVersion: string;
  readonly maxConnections: number;
  readonly modules: readonly ShownModule[];
  readonly listeners: readonly ShownListener[];
  readonly guarantees: readonly Guarantee[];
}

export interface DaemonState {
  readonly facts: DaemonFacts;
  readonly readiness: Readiness;
  /** Wall clock, for people; and how long the daemon runs. */
  readonly now: Date;
  readonly uptimeSec: number;
  readonly snapshot: LoopSnapshot;
  /** As Throughput has it; `throughputSteps` of them were measured. */
  readonly throughput: readonly number[];
  readonly throughputSteps: number;
  /** Of every bound in limits.ts, by name. */
  readonly limitHits: ReadonlyMap<string, number>;
  readonly rssBytes: number;
  readonly cpuSec: number;
  readonly logLinesDropped: number;
  readonly logLinesSuppressed: number;
}
