/** A transport that lets only so many bytes per second out: --bwlimit and bandwidth_limit. */

import type { PeerAddress, Transport } from './transport.ts';

interface Piece {
  bytes: Uint8Array;
  released: (() => void) | undefined;
}

/** Shortest time between two writes; shorter ones would only burn timers. */
const TICK_MS = 20;

/** Smallest write (1-session.md 4.3: rsync writes at most max(512, rate / 8) bytes at a time). */
const MIN_WRITE = 512;

/** Decorates a transport; reading is untouched, and so is writing until a limit is set. */
export class ThrottledTransport implements Transport {
  readonly #inner: Transport;
  /** 0 is no limit. */
  #bytesPerSecond = 0;
  readonly #queue: Piece[] = [];
  #waiting = 0;
  #readyAtMs = 0;
  #timer: NodeJS.Timeout | null = null;
  #onProgress: (() => void)[] = [];
  #ending = false;
  #destroyed = false;

  constructor(inner: Transport) {
    this.#inner = inner;
  }

  /** From here on at most so many bytes go out in a second; at least 1. */
  limitTo(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond;
  }

  get peer(): PeerAddress {
    return this.#inner.peer;
  }

  get queuedBytes(): number {
    return this.#waiting + this.#inner.queuedBytes;
  }

  tryRead(): Buffer | null {
    return this.#inner.tryRead();
  }

  read(): Promise<Buffer | null> {
    return this.#inner.read();
  }

  write(bytes: Uint8Array, released?: () => void): void {
    // After `destroy` no timer runs: a piece that waited here would never go out, and `drained` would never end.
    if (this.#bytesPerSecond === 0 || this.#destroyed) {
      this.#inner.write(bytes, released);
      return;
    }
    this.#queue.push({ bytes, released });
    this.#waiting += bytes.length;
    if (this.#timer === null) this.#send();
  }

  async drained(maxQueuedBytes: number): Promise<void> {
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
    this.#timer = null;
    const piece = this.#queue[0];
    if (piece === undefined) return;
    const now = performance.now();
    const size = Math.min(piece.bytes.length, Math.max(MIN_WRITE, Math.floor((this.#bytesPerSecond * TICK_MS) / 1000)));
    const whole = size === piece.bytes.length;
    this.#inner.write(piece.bytes.subarray(0, size), whole ? piece.released : undefined);
    if (whole) this.#queue.shift();
    else piece.bytes = piece.bytes.subarray(size);
    this.#waiting -= size;
    this.#readyAtMs = Math.max(now, this.#readyAtMs) + (size * 1000) / this.#bytesPerSecond;
    this.#wake();
    if (this.#queue.length === 0 && this.#ending) this.#inner.endWrite();
    this.#timer = setTimeout(() => this.#send(), Math.max(0, this.#readyAtMs - now));
  }

  #wake(): void {
    for (const resolve of this.#onProgress.splice(0)) resolve();
  }
}
