/** A connection in memory: the test scripts what arrives and collects what is sent. */

import { PeerGone } from '../../../src/errors.ts';
import type { Transport } from '../../../src/wire/transport.ts';

interface HeldWrite {
  readonly bytes: Uint8Array;
  readonly released: (() => void) | undefined;
}

export class FakeTransport implements Transport {
  readonly peer = { address: '192.0.2.1', port: 12345 };
  /** While true, writes stay queued until `take`. */
  holdsWrites = false;
  writeEnded = false;
  destroyed = false;
  /** Sizes of the single writes, in order. */
  readonly writeSizes: number[] = [];
  readonly #incoming: Buffer[];
  readonly #sent: Buffer[] = [];
  readonly #held: HeldWrite[] = [];
  #ended: boolean;
  #wakeReader: (() => void) | null = null;
  #wakeDrain: (() => void)[] = [];

  /** @param chunks what has arrived already; the peer's end of file follows unless `open`. */
  constructor(chunks: readonly Buffer[] = [], open: 'open' | 'ended' = 'ended') {
    this.#incoming = [...chunks];
    this.#ended = open === 'ended';
  }

  /** Everything sent so far; bytes were copied when they were written. */
  get sent(): Buffer {
    return Buffer.concat(this.#sent);
  }

  get queuedBytes(): number {
    return this.#held.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  feed(...chunks: Buffer[]): void {
    this.#incoming.push(...chunks);
    this.#wakeReader?.();
  }

  end(): void {
    this.#ended = true;
    this.#wakeReader?.();
  }

  /** Lets the oldest `count` held writes go out. */
  take(count: number): void {
    for (const { bytes, released } of this.#held.splice(0, count)) {
      this.#sent.push(Buffer.from(bytes));
      released?.();
    }
    for (const wake of this.#wakeDrain.splice(0)) wake();
  }

  get isBroken(): boolean {
    return this.destroyed;
  }

  tryRead(): Buffer | null {
    return this.#incoming.shift() ?? null;
  }

  async read(): Promise<Buffer | null> {
    while (this.#incoming.length === 0 && !this.#ended && !this.destroyed) {
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
    if (this.destroyed) throw new PeerGone();
    return this.#incoming.shift() ?? null;
  }

  write(bytes: Uint8Array, released?: () => void): void {
    this.writeSizes.push(bytes.length);
    this.#held.push({ bytes, released });
    if (!this.holdsWrites) this.take(1);
  }

  async drained(maxQueuedBytes: number): Promise<void> {
    while (!this.destroyed && this.queuedBytes > maxQueuedBytes) {
      await new Promise<void>((resolve) => this.#wakeDrain.push(resolve));
    }
    if (this.destroyed) throw new PeerGone();
  }

  endWrite(): void {
    this.writeEnded = true;
  }

  destroy(): void {
    this.destroyed = true;
    for (const { released } of this.#held.splice(0)) released?.();
    this.#wakeReader?.();
    for (const wake of this.#wakeDrain.splice(0)) wake();
  }
}
