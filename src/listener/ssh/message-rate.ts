/** Counts messages that cost us work and bring nothing; transport.ts and channel.ts ask it. */

import { LimitError } from '../../errors.ts';
import type { Limits } from '../../limits.ts';
import { monotonicMs } from '../../shared.ts';

const WINDOW_MS = 60_000;

/** Bounds idle messages of one connection in each minute (B-29, B-31). */
export class MessageRate {
  readonly #max: number;
  readonly #now: () => number;
  #windowStartMs: number;
  #count = 0;

  /** @param now a clock in milliseconds. */
  constructor(limits: Pick<Limits, 'sshMessagesPerMinute'>, now: () => number = monotonicMs) {
    this.#max = limits.sshMessagesPerMinute;
    this.#now = now;
    this.#windowStartMs = now();
  }

  /** Counts one message. @throws LimitError for one too many. */
  count(): void {
    const nowMs = this.#now();
    if (nowMs - this.#windowStartMs >= WINDOW_MS) {
      this.#windowStartMs = nowMs;
      this.#count = 0;
    }
    this.#count++;
    if (this.#count > this.#max) throw new LimitError('sshMessagesPerMinute', 'too many SSH messages without data');
  }
}
