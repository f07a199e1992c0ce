/** When keys change: our own schedule and how often the client may ask; transport.ts calls it. */

import { LimitError } from '../../errors.ts';
import type { Limits } from '../../limits.ts';
import { monotonicMs } from '../../shared.ts';

type RekeyLimits = Pick<Limits, 'sshRekeyBytes' | 'sshRekeyMs' | 'sshPeerRekeyBytes' | 'sshPeerRekeyMs'>;

/** The key changes of one connection. */
export class RekeyPolicy {
  readonly #limits: RekeyLimits;
  readonly #now: () => number;
  #changedMs: number;
  /** When the client started its last exchange; null before. */
  #peerStartedMs: number | null = null;

  /** @param now a clock in milliseconds. */
  constructor(limits: RekeyLimits, now: () => number = monotonicMs) {
    this.#limits = limits;
    this.#now = now;
    this.#changedMs = now();
  }

  /** True when the key has been used long enough. @param bytes under the current key, in the busier direction. */
  isDue(bytes: number): boolean {
    return bytes >= this.#limits.sshRekeyBytes || this.#now() - this.#changedMs >= this.#limits.sshRekeyMs;
  }

  /** A new key is in force. */
  reset(): void {
    this.#changedMs = this.#now();
  }

  /**
   * Counts an exchange that the client starts; the first is free.
   * @param bytes under the current key, in the busier direction.
   * @throws LimitError when the last one was just now and little has passed since (B-30).
   */
  countPeer(bytes: number): void {
    const nowMs = this.#now();
    const isEarly = this.#peerStartedMs !== null && nowMs - this.#peerStartedMs < this.#limits.sshPeerRekeyMs;
    if (isEarly && bytes < this.#limits.sshPeerRekeyBytes) {
      throw new LimitError('sshPeerRekeyMs', 'too many SSH key exchanges');
    }
    this.#peerStartedMs = nowMs;
  }
}
