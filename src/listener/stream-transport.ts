/** A Transport over stream sockets: one for both ways, or one for each; socket-transport.ts and stdio-transport.ts open them. */

import type { Socket } from 'node:net';
import { PeerGone } from '../errors.ts';
import type { PeerAddress, Transport } from '../wire/transport.ts';
import { StreamInput } from './stream-input.ts';
import { StreamOutput } from './stream-output.ts';

/** One for all: every session ends with it, and an error of its own would cost a stack trace that nobody reads. */
const CLOSED_BY_US = new PeerGone('connection closed by us');

/** By the system's code, for the same reason. */
const brokenBy = new Map<string, PeerGone>();

function connectionBroken({ code, message }: NodeJS.ErrnoException): PeerGone {
  if (code === undefined) return new PeerGone(`connection broken: ${message}`);
  const known = brokenBy.get(code) ?? new PeerGone(`connection broken: ${code}`);
  brokenBy.set(code, known);
  return known;
}

/** Owns its sockets from here on. Whoever makes it says what their closing means, by `fail`. */
export class StreamTransport implements Transport {
  readonly peer: PeerAddress;
  protected readonly input: StreamInput;
  protected readonly output: StreamOutput;
  readonly #sockets: readonly Socket[];

  /** @param client whose part of the event loop reading takes. */
  constructor(peer: PeerAddress, sockets: { readonly input: Socket; readonly output: Socket }, client?: string) {
    this.peer = peer;
    this.input = new StreamInput(sockets.input, client);
    this.output = new StreamOutput(sockets.output);
    this.#sockets = sockets.input === sockets.output ? [sockets.input] : [sockets.input, sockets.output];
    for (const socket of this.#sockets) {
      socket.on('error', (error) => this.fail(connectionBroken(error)));
    }
  }

  get queuedBytes(): number {
    return this.output.queuedBytes;
  }

  get isBroken(): boolean {
    return this.output.isBroken;
  }

  tryRead(): Buffer | null {
    return this.input.tryRead();
  }

  read(): Promise<Buffer | null> {
    return this.input.read();
  }

  write(bytes: Uint8Array, released?: () => void): void {
    this.output.write(bytes, released);
  }

  drained(maxQueuedBytes: number): Promise<void> {
    return this.output.drained(maxQueuedBytes);
  }

  endWrite(): void {
    this.output.end();
  }

  destroy(): void {
    this.fail(CLOSED_BY_US);
    for (const socket of this.#sockets) socket.destroy();
  }

  protected fail(reason: PeerGone): void {
    this.input.fail(reason);
    this.output.fail(reason);
  }
}
