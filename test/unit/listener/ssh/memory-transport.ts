/** Two Transports joined in memory, for tests of everything that runs over one. */

import { PeerGone } from '../../../../src/errors.ts';
import type { PeerAddress, Transport } from '../../../../src/wire/transport.ts';

/** One end. Written bytes are copied at once unless the other end has been told to stall. */
export class MemoryTransport implements Transport {
  readonly peer: PeerAddress;
  other: MemoryTransport | null = null;
  /** While true, written bytes stay queued here. */
  isStalled = false;
  isDestroyed = false;
  #incoming: Buffer[] = [];
  #ended = false;
  #queued: Buffer[] = [];
  #reader: { resolve: (chunk: Buffer | null) => void; reject: (reason: unknown) => void } | null = null;
  #drained: { max: number; resolve: () => void; reject: (reason: unknown) => void }[] = [];

  constructor(peer: PeerAddress) {
    this.peer = peer;
  }

  get queuedBytes(): number {
    return this.#queued.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  get isBroken(): boolean {
    return this.isDestroyed;
  }

  tryRead(): Buffer | null {
    return this.#incoming.shift() ?? null;
  }

  read(): Promise<Buffer | null> {
    const chunk = this.tryRead();
    if (chunk !== null || this.#ended) return Promise.resolve(chunk);
    if (this.isDestroyed) return Promise.reject(new PeerGone());
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  write(bytes: Uint8Array, released: () => void = () => {}): void {
    if (!this.isDestroyed) this.#queued.push(Buffer.from(bytes));
    released();
    if (!this.isStalled) this.release();
  }

  /** Lets everything queued through. */
  release(): void {
    this.isStalled = false;
    for (const chunk of this.#queued.splice(0)) this.other?.deliver(chunk);
    for (const waiter of this.#drained.splice(0)) waiter.resolve();
  }

  drained(max: number): Promise<void> {
    if (this.isDestroyed) return Promise.reject(new PeerGone());
    if (this.queuedBytes <= max) return Promise.resolve();
    return new Promise((resolve, reject) => this.#drained.push({ max, resolve, reject }));
  }

  endWrite(): void {
    this.other?.end();
  }

  destroy(): void {
    this.isDestroyed = true;
    this.#reader?.reject(new PeerGone());
    this.#reader = null;
    for (const waiter of this.#drained.splice(0)) waiter.reject(new PeerGone());
    this.other?.end();
  }

  deliver(chunk: Buffer): void {
    if (this.#reader === null) {
      this.#incoming.push(chunk);
      return;
    }
    const { resolve } = this.#reader;
    this.#reader = null;
    resolve(chunk);
  }

  end(): void {
    this.#ended = true;
    this.#reader?.resolve(null);
    this.#reader = null;
  }
}

/** @returns two joined ends; `address` is what the first one says about its peer. */
export function memoryPair(address = '203.0.113.5'): [MemoryTransport, MemoryTransport] {
  const server = new MemoryTransport({ address, port: 40_000 });
  const client = new MemoryTransport({ address: '192.0.2.1', port: 22 });
  server.other = client;
  client.other = server;
  return [server, client];
}

/** A transport that holds these chunks and then ends. */
export function sourceOf(...chunks: readonly Buffer[]): MemoryTransport {
  const [transport] = memoryPair();
  for (const chunk of chunks) transport.deliver(chunk);
  transport.end();
  return transport;
}
