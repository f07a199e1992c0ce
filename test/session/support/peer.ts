/** One connection of a scripted client: sends what it is told, keeps everything it receives. */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** How the server let go: by an orderly end of its output, or by a reset. */
export type Ending = 'end' | 'reset';

export class Peer {
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];
  readonly #ended: Promise<Ending>;
  #size = 0;
  #wake: () => void = () => {};
  #hasEnded = false;
  /** Our port: the session's line in the log carries it. */
  readonly port: number;
  /** Lines that the server's log had before we came. */
  logMark = 0;

  private constructor(socket: Socket, closesAfterServer: boolean) {
    this.#socket = socket;
    this.port = socket.localPort!;
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#size += chunk.length;
      this.#wake();
    });
    this.#ended = new Promise((resolve) => {
      const finish = (ending: Ending): void => {
        this.#hasEnded = true;
        resolve(ending);
        this.#wake();
        if (closesAfterServer) socket.destroy();
      };
      socket.on('end', () => finish('end'));
      socket.on('error', () => finish('reset'));
    });
  }

  /** @param closesAfterServer false for a peer that keeps its side open for ever. */
  static async connect(port: number, host = '127.0.0.1', closesAfterServer = true): Promise<Peer> {
    const socket = connect({ port, host, allowHalfOpen: true, noDelay: true });
    await once(socket, 'connect');
    return new Peer(socket, closesAfterServer);
  }

  /** Everything received so far. */
  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** Number of bytes received so far. */
  get size(): number {
    return this.#size;
  }

  get text(): string {
    return this.received.toString('latin1');
  }

  send(...parts: readonly (string | Uint8Array)[]): void {
    for (const part of parts) this.#socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part);
  }

  /** Sends and waits until the kernel took it; false when the server is gone. */
  async push(bytes: Uint8Array): Promise<boolean> {
    if (this.#hasEnded) return false;
    if (this.#socket.write(bytes)) return true;
    await Promise.race([once(this.#socket, 'drain').catch(() => {}), this.#ended]);
    return !this.#hasEnded;
  }

  /** Half-closes: the server sees our end of file. */
  end(): void {
    this.#socket.end();
  }

  /** Goes away without a goodbye. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Stops taking data, so that the server's output has nowhere to go. */
  stopReading(): void {
    this.#socket.pause();
  }

  /** Waits until the condition holds for what was received. @throws Error when the server closes before. */
  async until(condition: (received: Buffer) => boolean): Promise<void> {
    while (!condition(this.received)) {
      if (this.#hasEnded) throw new Error(`the server closed after ${JSON.stringify(this.text.slice(0, 500))}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Waits until the text was received. */
  untilText(text: string): Promise<void> {
    return this.until((received) => received.includes(Buffer.from(text, 'latin1')));
  }

  /** Waits until the server has let go. */
  ended(): Promise<Ending> {
    return this.#ended;
  }
}
