/** The input of a stream socket as the pull reading that a Transport owes; sockets and standard streams share it. */

import type { Socket } from 'node:net';
import { Bug, type PeerGone } from '../errors.ts';
import { clientTurn } from '../slice.ts';
import { quietly } from './quiet-promise.ts';

/**
 * High-water mark that a socket handed to StreamInput should have.
 *
 * SECURITY: with 1, Node stops reading as soon as one chunk (at most 64 KiB) waits for the session. With its default of
 * 64 KiB a peer that sends single bytes could make us keep 65 536 Buffer objects, 13 MB, for every idle session.
 */
export const READ_HIGH_WATER_MARK = 1;

/** What Node reads at once at most. */
const FULL_READ = 64 * 1024;

/** `tryRead` and `read` of a Transport. Whoever owns the socket listens to its errors and calls `fail`. */
export class StreamInput {
  readonly #socket: Socket;
  readonly #client: string;
  #failure: PeerGone | null = null;
  #isEnded = false;
  #reader: PromiseWithResolvers<Buffer | null> | null = null;

  /** @param client whose turns of the event loop it takes when it sends much. */
  constructor(socket: Socket, client = '') {
    this.#socket = socket;
    this.#client = client;
    socket.on('readable', () => this.#onReadable());
    socket.on('end', () => this.#onEnd());
  }

  /** The peer's end of file has come. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  tryRead(): Buffer | null {
    // Asking an empty stream costs ten times as much as looking at its length.
    if (this.#socket.readableLength === 0) return null;
    return this.#socket.read() as Buffer | null;
  }

  read(): Promise<Buffer | null> {
    if (this.#reader !== null) return Promise.reject(new Bug('two reads of one transport at the same time'));
    const chunk = this.tryRead();
    if (chunk !== null || this.#isEnded) return Promise.resolve(chunk);
    if (this.#failure !== null) return quietly(Promise.reject(this.#failure));
    this.#reader = Promise.withResolvers();
    return quietly(this.#reader.promise);
  }

  /** Ends a wait with `reason`, and every later one; what has arrived can still be read. */
  fail(reason: PeerGone): void {
    this.#failure ??= reason;
    this.#reader?.reject(reason);
    this.#reader = null;
  }

  #onReadable(): void {
    if (this.#socket.readableLength === 0) {
      // At the end of input this makes the stream say 'end'; else it asks for more.
      this.#socket.read();
      return;
    }
    if (this.#reader === null) return;
    // SECURITY: whoever sends without end fills each read, and Node reads on 32 times in one turn of the event loop if it may.
    if (this.#socket.readableLength >= FULL_READ) void this.#deliverInTurn();
    else this.#deliver();
  }

  async #deliverInTurn(): Promise<void> {
    await clientTurn(this.#client);
    if (this.#socket.readableLength > 0) this.#deliver();
  }

  #deliver(): void {
    const reader = this.#reader;
    this.#reader = null;
    reader?.resolve(this.#socket.read() as Buffer | null);
  }

  #onEnd(): void {
    this.#isEnded = true;
    this.#reader?.resolve(null);
    this.#reader = null;
  }
}
