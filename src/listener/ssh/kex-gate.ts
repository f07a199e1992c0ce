/** Key exchanges of the whole process take turns here; transport.ts asks before the costly part of each. */

import { LimitError } from '../../errors.ts';
import { limitHits } from '../../limit-hits.ts';
import type { Limits } from '../../limits.ts';
import { privateArea, type SharedArea, SharedBucket, SharedCounts } from '../../shared.ts';

type GateLimits = Pick<Limits, 'sshKexPerSecond' | 'sshKexWaiting'>;
type RateName = 'sshKexPerSecond' | 'tlsHandshakesPerSecond';

/**
 * Lets a fixed number of key exchanges a second through, one second's worth at once, the rest in the order of arrival at a worker.
 *
 * SECURITY: one exchange costs us 0.5 ms and its starter nothing; a flood of them must not slow the sessions down (B-28). Make one for
 * each worker, over memory of the process, not one per listener.
 */
export class KexGate {
  /** Shared memory that it needs. */
  static readonly BYTES = SharedBucket.BYTES + SharedCounts.BYTES;
  readonly #limits: GateLimits;
  readonly #rate: RateName;
  readonly #tokens: SharedBucket;
  readonly #places: SharedCounts;
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | null = null;

  /** @param rate the bound that is sshKexPerSecond here: who waits is counted under its name. */
  constructor(limits: GateLimits, area: SharedArea = privateArea(KexGate.BYTES), rate: RateName = 'sshKexPerSecond') {
    this.#limits = limits;
    this.#rate = rate;
    this.#tokens = new SharedBucket(limits.sshKexPerSecond, area);
    this.#places = new SharedCounts(area, SharedBucket.BYTES);
  }

  /** Waits for a turn. @throws LimitError when too many wait already. */
  async enter(): Promise<void> {
    if (this.#waiting.length === 0 && this.#tokens.take()) return;
    if (!this.#places.take(this.#limits.sshKexWaiting)) {
      throw new LimitError('sshKexWaiting', 'too many SSH key exchanges at once');
    }
    limitHits.count(this.#rate);
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      this.#schedule();
    });
  }

  /** Drops those that waited in a dead worker. */
  forget(worker: number): void {
    this.#tokens.forget(worker);
    this.#places.forget(worker);
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#admit(), 1000 / this.#limits.sshKexPerSecond);
  }

  #admit(): void {
    this.#timer = null;
    while (this.#waiting.length > 0 && this.#tokens.take()) {
      this.#places.give();
      this.#waiting.shift()!();
    }
    if (this.#waiting.length > 0) this.#schedule();
  }
}
