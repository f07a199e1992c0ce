/** A transport that lets only so many bytes per second out: --bwlimit and bandwidth_limit. */

import { RateLimit } from './rate-limit.ts';
import type { PeerAddress, Transport } from './transport.ts';

interface Piece {
  bytes: Uint8Array;
  released: (() => void) | undefined;
}

/** Timers are no finer; what is due sooner goes out at once, and the next turn waits for it. */
const SHORTEST_WAIT_MS = 1;

/** Decorates a transport; reading is untouched, and so is writing until a limit is set. */
export class ThrottledTransport implements Transport {
  readonly #inner: Transport;
  readonly #limits: RateLimit[] = [];
  readonly #queue: Piece[] = [];
  #waiting = 0;
  #timer: NodeJS.Timeout | null = null;
  /** Something goes out or waits for its turn. */
  #isSending = false;
  #onProgress: (() => void)[] = [];
  #ending = false;
  #destroyed = false;

  constructor(inner: Transport) {
    this.#inner = inner;
  }

  /** From here on at most so many bytes go out in a second; at least 1. */
  limitTo(bytesPerSecond: number): void {
    this.shareLimit(new RateLimit(bytesPerSecond));
  }

  /** From here on what goes out counts against a limit that others share, besides those that hold already. */
  shareLimit(limit: RateLimit): void {
    this.#limits.push(limit);
  }

  get peer(): PeerAddress {
    return this.#inner.peer;
  }

  get queuedBytes(): number {
    return this.#waiting + this.#inner.queuedBytes;
  }

  get isBroken(): boolean {
    return this.#inner.isBroken;
  }

  tryRead(): Buffer | null {
    return this.#inner.tryRead();
  }

  read(): Promise<Buffer | null> {
    return this.#inner.read();
  }

  write(bytes: Uint8Array, released?: () => void): void {
    // After `destroy` no timer runs: a piece that waited here would never go out, and `drained` would never end.
    if (this.#limits.length === 0 || this.#destroyed) {
      this.#inner.write(bytes, released);
      return;
    }
    this.#queue.push({ bytes, released });
    this.#waiting += bytes.length;
    if (!this.#isSending) this.#send();
  }

  drained(maxQueuedBytes: number): Promise<void> {
    return this.#waiting > maxQueuedBytes ? this.#passed(maxQueuedBytes) : this.#inner.drained(maxQueuedBytes);
  }

  async #passed(maxQueuedBytes: number): Promise<void> {
    while (this.#waiting > maxQueuedBytes) await new Promise<void>((resolve) => this.#onProgress.push(resolve));
    await this.#inner.drained(maxQueuedBytes);
  }

  endWrite(): void {
    this.#ending = true;
    if (this.#queue.length === 0) this.#inner.endWrite();
  }

  destroy(): void {
    this.#destroyed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const piece of this.#queue.splice(0)) piece.released?.();
    this.#waiting = 0;
    this.#inner.destroy();
    this.#wake();
  }

  #send(): void {
    this.#isSending = true;
    for (let piece = this.#queue[0]; piece !== undefined; piece = this.#queue[0]) {
      const size = Math.min(piece.bytes.length, ...this.#limits.map(({ turnBytes }) => turnBytes));
      const waitMs = Math.max(...this.#limits.map((limit) => limit.book(size)));
      if (waitMs >= SHORTEST_WAIT_MS) {
        this.#timer = setTimeout(() => this.#takeTurn(size), waitMs);
        return;
      }
      this.#pass(piece, size);
    }
    this.#isSending = false;
  }

  #takeTurn(size: number): void {
    this.#timer = null;
    this.#pass(this.#queue[0]!, size);
    this.#send();
  }

  /** Lets the first `size` bytes go of the piece that is first. */
  #pass(piece: Piece, size: number): void {
    const bytes = piece.bytes.subarray(0, size);
    const whole = size === piece.bytes.length;
    if (whole) this.#queue.shift();
    else piece.bytes = piece.bytes.subarray(size);
    this.#waiting -= size;
    this.#inner.write(bytes, whole ? piece.released : undefined);
    this.#wake();
    if (this.#queue.length === 0 && this.#ending) this.#inner.endWrite();
  }

  #wake(): void {
    for (const resolve of this.#onProgress.splice(0)) resolve();
  }
}
