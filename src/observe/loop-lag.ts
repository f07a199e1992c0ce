/** How late an event loop is, measured by Node; session-registry.ts asks for it. */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { LoopHealth } from './snapshot.ts';

/** Lateness is sampled this often. Shorter wakes an idle daemon more, longer misses short stalls. */
const RESOLUTION_MS = 50;

const NANOSECONDS = 1e9;

export class LoopLag {
  readonly #loop: string;
  readonly #delays: ReturnType<typeof monitorEventLoopDelay>;

  constructor(loop: string) {
    this.#loop = loop;
    this.#delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#delays.enable();
  }

  /** The figures since the call before, which start anew. */
  take(): LoopHealth {
    const delays = this.#delays;
    // What Node measures is the distance between two samples.
    const lateness = (ns: number): number => Math.max(0, ns / NANOSECONDS - RESOLUTION_MS / 1000);
    const health = {
      loop: this.#loop,
      lagP50Sec: lateness(delays.percentile(50)),
      lagP99Sec: lateness(delays.percentile(99)),
      lagMaxSec: delays.count === 0 ? 0 : lateness(delays.max),
      heapUsedBytes: process.memoryUsage().heapUsed,
    };
    delays.reset();
    return health;
  }
}
