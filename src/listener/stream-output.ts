/** The output of a stream socket as the counted writing that a Transport owes; sockets and standard streams share it. */

import type { Socket } from 'node:net';
import type { PeerGone } from '../errors.ts';
import { quietly } from './quiet-promise.ts';

const RESOLVED: Promise<void> = Promise.resolve();
const noop = (): void => {};

interface DrainWaiter {
  readonly maxQueuedBytes: number;
  readonly resolve: () => void;
  readonly reject: (reason: PeerGone) => void;
}

/** `write`, `drained` and `endWrite` of a Transport. Whoever owns the socket listens to its errors and calls `fail` and `close`. */
export class StreamOutput {
  readonly #socket: Socket;
  #failure: PeerGone | null = null;
  #isEnding = false;
  #drainWaiters: DrainWaiter[] = [];
  /** One entry for each write whose memory the caller has not got back, in order. */
  #unreleased: (() => void)[] = [];
  /** Callbacks that Node still owes us for writes that were released early. */
  #releasedEarly = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Upper bound: a write that the kernel took in part counts in full. */
  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  get isBroken(): boolean {
    return this.#failure !== null;
  }

  /** `end` was called. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** `released` may run before `write` returns: the kernel often takes everything at once, and warm memory is reused. */
  write(bytes: Uint8Array, released: () => void = noop): void {
    if (this.#failure !== null || this.#isEnding || bytes.length === 0) {
      released();
      return;
    }
    this.#unreleased.push(released);
    // The callback is the same function each time: no closure per write, and Node batches its calls.
    this.#socket.write(bytes, this.#onWritten);
    if (this.#socket.writableLength === 0) this.#releaseAll();
  }

  drained(maxQueuedBytes: number): Promise<void> {
    if (this.#failure !== null) return quietly(Promise.reject(this.#failure));
    if (this.#socket.writableLength <= maxQueuedBytes) return RESOLVED;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#drainWaiters.push({ maxQueuedBytes, resolve, reject });
    return quietly(promise);
  }

  /** Half-closes after everything queued has gone out. */
  end(): void {
    if (this.#isEnding || this.#failure !== null) return;
    this.#isEnding = true;
    this.#socket.end();
  }

  /** Ends every wait with `reason`, and every later one; nothing is written any more. */
  fail(reason: PeerGone): void {
    this.#failure ??= reason;
    for (const waiter of this.#drainWaiters.splice(0)) waiter.reject(reason);
  }

  /** The socket is closed. Node has called back for each write by now; this is for a version that forgets one. */
  close(): void {
    for (const released of this.#unreleased.splice(0)) released();
  }

  /** Runs once per write, in order, when Node is done with its memory: taken by the kernel, or given up. */
  readonly #onWritten = (): void => {
    if (this.#releasedEarly > 0) {
      this.#releasedEarly--;
      return;
    }
    this.#unreleased.shift()?.();
    this.#wakeDrained();
  };

  #releaseAll(): void {
    const { length } = this.#unreleased;
    this.#releasedEarly += length;
    if (length === 1) {
      this.#unreleased.pop()!();
    } else {
      for (const released of this.#unreleased.splice(0)) released();
    }
    this.#wakeDrained();
  }

  #wakeDrained(): void {
    if (this.#drainWaiters.length === 0) return;
    const queued = this.#socket.writableLength;
    const waiters = this.#drainWaiters;
    this.#drainWaiters = waiters.filter((waiter) => waiter.maxQueuedBytes < queued);
    for (const waiter of waiters) {
      if (waiter.maxQueuedBytes >= queued) waiter.resolve();
    }
  }
}
