/**
 * What one row of the bench is. Each file in scenarios/ exports `SCENARIOS`; registry.ts finds it by itself, so that a new
 * row is a new file and nothing else.
 */

import type { RunningDaemon } from '../helpers/running-daemon.ts';
import type { CpuMeter } from './cpu-meter.ts';

export type Side = 'ours' | 'reference';

/** What a run gives; absent fields have no column entry. */
export interface Figures {
  /** Server CPU of all processes and threads, in seconds. */
  readonly cpu?: number;
  /** Start of the first client to end of the last, in seconds. */
  readonly wall?: number;
  /** Memory of all the server's processes (PSS), in MiB. */
  readonly memory?: number;
}

/** Highest figure that the issue allows: ours divided by C's, or by 1 where there is no C side. */
export type Targets = { readonly [field in keyof Figures]: number };

/** A started server and everything that a run needs to know of it. */
export interface Server {
  readonly side: Side;
  readonly port: number;
  /** The process that all others descend from; 0 where each run starts one of its own. */
  readonly pid: number;
  readonly meter: CpuMeter;
  stop(): Promise<void>;
}

/** Warm-ups after which each worker is likely to have served one; which one takes a connection is chance. */
export const EACH_WORKER = 4;

export interface Scenario {
  /** For --only. */
  readonly name: string;
  /** What the table calls it, with sizes for scale 1. */
  readonly title: string;
  readonly targets: Targets;
  /** False where C rsync has nothing to compare with: figures are absolute then. Default true. */
  readonly hasReference?: boolean;
  /** Runs before the measured ones, per side; default 1: code is compiled, caches are filled. */
  readonly warmUps?: number;
  /**
   * Fills `dir`/module, and whatever the runs need besides.
   * @param scale factor for sizes and counts; 1 is what the title says.
   */
  prepare?(dir: string, scale: number): void;
  /** Keys of our module besides name and path. */
  readonly moduleKeys?: Readonly<Record<string, string | number | boolean>>;
  /** Starts a side's server; absent: a daemon that serves `dir`/module under the scenario's name. */
  start?(side: Side, dir: string): Promise<RunningDaemon>;
  /** One measured run; `out` is a fresh directory that is removed afterwards. */
  run(server: Server, dir: string, out: string, scale: number): Promise<Figures>;
}
