/** Standard input and output as a Transport, for the modes that a remote shell starts; cli/command-mode.ts makes the only one. */

import { isIP, Socket } from 'node:net';
import { Bug, ConfigError, PeerGone } from '../errors.ts';
import type { PeerAddress, Transport } from '../wire/transport.ts';
import { normaliseAddress, READ_HIGH_WATER_MARK } from './socket-transport.ts';

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

/** The descriptors to use; others than 0 and 1 only in tests. */
export interface StandardStreams {
  readonly input: number;
  readonly output: number;
}

/**
 * A Transport over two pipes or sockets, which it owns and closes.
 *
 * SECURITY: process.stdout is never touched: on pipes it blocks the whole process, and a client that writes while we cannot read
 * would wait for us for ever. Whatever else prints goes to standard error.
 */
export class StdioTransport implements Transport {
  readonly peer: PeerAddress;
  readonly #input: Socket;
  readonly #output: Socket;
  #failure: PeerGone | null = null;
  #inputEnded = false;
  #isEnding = false;
  /** Everything of ours has gone out. */
  #outputEnded = false;
  #reader: ReadWaiter | null = null;
  #drainWaiters: DrainWaiter[] = [];
  /** One entry for each write whose memory the caller has not got back, in order. */
  readonly #unreleased: (() => void)[] = [];

  /**
   * @param peer whom the remote shell names; only access lists look at it.
   * @throws ConfigError when a descriptor is neither a pipe nor a socket.
   */
  constructor(peer: PeerAddress = { address: '', port: 0 }, streams: StandardStreams = { input: 0, output: 1 }) {
    this.peer = peer;
    this.#input = openStream('input', streams.input);
    this.#output = openStream('output', streams.output);
    this.#input.on('readable', () => this.#onReadable());
    this.#input.on('end', () => this.#onInputEnd());
    this.#input.on('error', (error) => this.#onError(error));
    this.#input.on('close', () => {
      if (!this.#inputEnded) this.#fail(new PeerGone());
    });
    this.#output.on('error', (error) => this.#onError(error));
    this.#output.on('finish', () => this.#onOutputEnd());
    this.#output.on('close', () => this.#onOutputClose());
  }

  /** Upper bound: a write that the kernel took in part counts in full. */
  get queuedBytes(): number {
    return this.#output.writableLength;
  }

  get isBroken(): boolean {
    return this.#failure !== null;
  }

  tryRead(): Buffer | null {
    if (this.#input.readableLength === 0) return null;
    return this.#input.read() as Buffer | null;
  }

  read(): Promise<Buffer | null> {
    if (this.#reader !== null) return Promise.reject(new Bug('two reads of one transport at the same time'));
    const chunk = this.tryRead();
    if (chunk !== null || this.#inputEnded) return Promise.resolve(chunk);
    if (this.#failure !== null) return rejected(this.#failure);
    const promise = new Promise<Buffer | null>((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
    // A session that ended for another reason leaves its last read behind; that is no unhandled rejection.
    promise.catch(noop);
    return promise;
  }

  write(bytes: Uint8Array, released: () => void = noop): void {
    if (this.#failure !== null || this.#isEnding || bytes.length === 0) {
      released();
      return;
    }
    this.#unreleased.push(released);
    this.#output.write(bytes, this.#onWritten);
  }

  drained(maxQueuedBytes: number): Promise<void> {
    if (this.#failure !== null) return rejected(this.#failure);
    if (this.#output.writableLength <= maxQueuedBytes) return RESOLVED;
    const promise = new Promise<void>((resolve, reject) => {
      this.#drainWaiters.push({ maxQueuedBytes, resolve, reject });
    });
    promise.catch(noop);
    return promise;
  }

  endWrite(): void {
    if (this.#isEnding || this.#failure !== null) return;
    this.#isEnding = true;
    this.#output.end();
  }

  destroy(): void {
    this.#fail(new PeerGone('connection closed by us'));
    this.#input.destroy();
    this.#output.destroy();
  }

  #onReadable(): void {
    if (this.#input.readableLength === 0) {
      // At the end of input this makes the stream say 'end'; else it asks for more.
      this.#input.read();
      return;
    }
    if (this.#reader === null) return;
    const { resolve } = this.#reader;
    this.#reader = null;
    resolve(this.#input.read() as Buffer | null);
  }

  #onInputEnd(): void {
    this.#inputEnded = true;
    this.#reader?.resolve(null);
    this.#reader = null;
  }

  #onOutputEnd(): void {
    this.#outputEnded = true;
    this.#wakeDrained();
  }

  /** Runs once per write, in order, when Node is done with its memory: taken by the kernel, or given up. */
  readonly #onWritten = (): void => {
    this.#unreleased.shift()?.();
    this.#wakeDrained();
  };

  #wakeDrained(): void {
    if (this.#drainWaiters.length === 0) return;
    const queued = this.#output.writableLength;
    const waiters = this.#drainWaiters;
    this.#drainWaiters = waiters.filter((waiter) => waiter.maxQueuedBytes < queued);
    for (const waiter of waiters) {
      if (waiter.maxQueuedBytes >= queued) waiter.resolve();
    }
  }

  #onOutputClose(): void {
    if (!this.#outputEnded) this.#fail(new PeerGone());
    // Node has called back for each write by now; this is for a version that forgets one.
    for (const released of this.#unreleased.splice(0)) released();
  }

  #onError(error: NodeJS.ErrnoException): void {
    this.#fail(new PeerGone(`connection broken: ${error.code ?? error.message}`, { cause: error }));
  }

  #fail(reason: PeerGone): void {
    if (this.#failure !== null) return;
    this.#failure = reason;
    this.#reader?.reject(reason);
    this.#reader = null;
    for (const waiter of this.#drainWaiters.splice(0)) waiter.reject(reason);
  }
}

/**
 * Whom sshd serves, for access lists.
 * @param connection SSH_CONNECTION: address and port of the client, then of the server; null without sshd.
 */
export function remoteShellPeer(connection: string | null): PeerAddress {
  const [address = '', port = ''] = (connection ?? '').split(' ');
  if (isIP(normaliseAddress(address)) === 0) return { address: '', port: 0 };
  return { address: normaliseAddress(address), port: /^\d{1,5}$/.test(port) ? Number(port) : 0 };
}

function openStream(name: keyof StandardStreams, fd: number): Socket {
  const isInput = name === 'input';
  try {
    const socket = new Socket({
      fd,
      readable: isInput,
      writable: !isInput,
      ...{ highWaterMark: READ_HIGH_WATER_MARK },
    });
    return socket;
  } catch (cause) {
    throw new ConfigError(`standard ${name} is neither a pipe nor a socket: a remote shell has to start this mode`, {
      cause,
    });
  }
}

function rejected(reason: PeerGone): Promise<never> {
  const promise = Promise.reject(reason);
  promise.catch(noop);
  return promise;
}
