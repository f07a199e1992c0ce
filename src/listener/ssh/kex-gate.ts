/** Key exchanges of the whole process take turns here; transport.ts asks before the costly part of each. */

import { LimitError } from '../../errors.ts';
import type { Limits } from '../../limits.ts';

type GateLimits = Pick<Limits, 'sshKexPerSecond' | 'sshKexWaiting'>;

/**
 * Lets a fixed number of key exchanges a second through, one second's worth at once, the rest in the order of arrival.
 *
 * SECURITY: one exchange costs us 0.5 ms and its starter nothing; a flood of them must not slow the sessions down (B-28). Make one for
 * the process, not one per listener.
 */
export class KexGate {
  readonly #limits: GateLimits;
  #tokens: number;
  #refilledMs = performance.now();
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(limits: GateLimits) {
    this.#limits = limits;
    this.#tokens = limits.sshKexPerSecond;
  }

  /** Waits for a turn. @throws LimitError when too many wait already. */
  async enter(): Promise<void> {
    this.#refill();
    if (this.#waiting.length === 0 && this.#tokens >= 1) {
      this.#tokens--;
      return;
    }
    if (this.#waiting.length >= this.#limits.sshKexWaiting) {
      throw new LimitError('sshKexWaiting', 'too many SSH key exchanges at once');
    }
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      this.#schedule();
    });
  }

  #refill(): void {
    const nowMs = performance.now();
    const gained = ((nowMs - this.#refilledMs) / 1000) * this.#limits.sshKexPerSecond;
    this.#tokens = Math.min(this.#limits.sshKexPerSecond, this.#tokens + gained);
    this.#refilledMs = nowMs;
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#admit(), 1000 / this.#limits.sshKexPerSecond);
  }

  #admit(): void {
    this.#timer = null;
    this.#refill();
    while (this.#tokens >= 1 && this.#waiting.length > 0) {
      this.#tokens--;
      this.#waiting.shift()!();
    }
    if (this.#waiting.length > 0) this.#schedule();
  }
}
