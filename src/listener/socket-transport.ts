/** One accepted stream socket as a Transport: pull reading, counted writing. The listeners make one for each connection. */

import type { Socket } from 'node:net';
import { Bug, PeerGone } from '../errors.ts';
import type { PeerAddress, Transport } from '../wire/transport.ts';

/**
 * High-water mark that sockets handed to SocketTransport should have.
 *
 * SECURITY: with 1, Node stops reading as soon as one chunk (at most 64 KiB) waits for the session. With its default of
 * 64 KiB a peer that sends single bytes could make us keep 65 536 Buffer objects, 13 MB, for every idle session.
 */
export const READ_HIGH_WATER_MARK = 1;

/** Silence before the kernel asks whether the peer is alive; then ten probes, one each 15 s. Half of it annoys mobile links. */
export const KEEP_ALIVE = { idleMs: 60_000, intervalMs: 15_000, probes: 10 } as const;

const RESOLVED: Promise<void> = Promise.resolve();
const noop = (): void => {};

interface ReadWaiter {
  resolve: (chunk: Buffer | null) => void;
  reject: (reason: PeerGone) => void;
}

interface DrainWaiter {
  maxQueuedBytes: number;
  resolve: () => void;
  reject: (reason: PeerGone) => void;
}

/** IPv4-mapped IPv6 addresses become IPv4 and zones are cut off, so that access lists and caps see one spelling. */
export function normaliseAddress(address: string): string {
  const zone = address.indexOf('%');
  const bare = zone === -1 ? address : address.slice(0, zone);
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(bare) ? bare.slice('::ffff:'.length) : bare;
}

/** The other end of a socket. */
export function peerOf(socket: Socket): PeerAddress {
  return { address: normaliseAddress(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 };
}

/** A Transport over a connected `allowHalfOpen` socket, which it owns from here on. */
export class SocketTransport implements Transport {
  readonly peer: PeerAddress;
  readonly #socket: Socket;
  /** Why the connection cannot be used any more. */
  #failure: PeerGone | null = null;
  #peerEnded = false;
  #outputEnded = false;
  #reader: ReadWaiter | null = null;
  #drainWaiters: DrainWaiter[] = [];
  /** One entry for each write whose memory the caller has not got back, in order. */
  #unreleased: (() => void)[] = [];
  /** Callbacks that Node still owes us for writes that were released early. */
  #releasedEarly = 0;

  /**
   * @param socket sets no options on it: the listener did (TCP_NODELAY, keep-alive, high-water mark).
   * @param peer the client, where a proxy is at the socket's other end.
   */
  constructor(socket: Socket, peer: PeerAddress = peerOf(socket)) {
    this.#socket = socket;
    this.peer = peer;
    socket.on('readable', () => this.#onReadable());
    socket.on('end', () => this.#onPeerEnd());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#fail(new PeerGone(`connection broken: ${error.code ?? error.message}`, { cause: error }));
    });
    socket.on('close', () => this.#onClose());
  }

  /** Upper bound: a write that the kernel took in part counts in full. */
  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  /** Bytes that the kernel has taken since the connection began. */
  get bytesSent(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength;
  }

  get isBroken(): boolean {
    return this.#failure !== null;
  }

  tryRead(): Buffer | null {
    // Asking an empty stream costs ten times as much as looking at its length.
    if (this.#socket.readableLength === 0) return null;
    return this.#socket.read() as Buffer | null;
  }

  read(): Promise<Buffer | null> {
    if (this.#reader !== null) return Promise.reject(new Bug('two reads of one transport at the same time'));
    const chunk = this.tryRead();
    if (chunk !== null || this.#peerEnded) return Promise.resolve(chunk);
    if (this.#failure !== null) return rejected(this.#failure);
    const promise = new Promise<Buffer | null>((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
    // A session that ended for another reason leaves its last read behind; that is no unhandled rejection.
    promise.catch(noop);
    return promise;
  }

  /** `released` may run before `write` returns: the kernel often takes everything at once, and warm memory is reused. */
  write(bytes: Uint8Array, released: () => void = noop): void {
    if (this.#failure !== null || this.#outputEnded || bytes.length === 0) {
      released();
      return;
    }
    this.#unreleased.push(released);
    // The callback is the same function each time: no closure per write, and Node batches its calls.
    this.#socket.write(bytes, this.#onWritten);
    if (this.#socket.writableLength === 0) this.#releaseAll();
  }

  drained(maxQueuedBytes: number): Promise<void> {
    if (this.#failure !== null) return rejected(this.#failure);
    if (this.#socket.writableLength <= maxQueuedBytes) return RESOLVED;
    const promise = new Promise<void>((resolve, reject) => {
      this.#drainWaiters.push({ maxQueuedBytes, resolve, reject });
    });
    promise.catch(noop);
    return promise;
  }

  endWrite(): void {
    if (this.#outputEnded || this.#failure !== null) return;
    this.#outputEnded = true;
    this.#socket.end();
  }

  destroy(): void {
    this.#fail(new PeerGone('connection closed by us'));
    this.#socket.destroy();
  }

  #onReadable(): void {
    if (this.#socket.readableLength === 0) {
      // At the end of input this makes the stream say 'end'; else it asks for more.
      this.#socket.read();
      return;
    }
    if (this.#reader === null) return;
    const { resolve } = this.#reader;
    this.#reader = null;
    resolve(this.#socket.read() as Buffer | null);
  }

  #onPeerEnd(): void {
    this.#peerEnded = true;
    this.#reader?.resolve(null);
    this.#reader = null;
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

  #onClose(): void {
    if (!(this.#peerEnded && this.#outputEnded)) this.#fail(new PeerGone());
    // Node has called back for each write by now; this is for a version that forgets one.
    for (const released of this.#unreleased.splice(0)) released();
  }

  #fail(reason: PeerGone): void {
    if (this.#failure !== null) return;
    this.#failure = reason;
    this.#reader?.reject(reason);
    this.#reader = null;
    for (const waiter of this.#drainWaiters.splice(0)) waiter.reject(reason);
  }
}

function rejected(reason: PeerGone): Promise<never> {
  const promise = Promise.reject(reason);
  promise.catch(noop);
  return promise;
}
