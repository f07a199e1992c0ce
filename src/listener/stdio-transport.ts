/** Standard input and output as a Transport, for the modes that a remote shell starts; cli/command-mode.ts makes the only one. */

import { isIP, Socket } from 'node:net';
import { ConfigError, PeerGone } from '../errors.ts';
import type { PeerAddress, Transport } from '../wire/transport.ts';
import { normaliseAddress } from './socket-transport.ts';
import { READ_HIGH_WATER_MARK, StreamInput } from './stream-input.ts';
import { connectionBroken, StreamOutput } from './stream-output.ts';

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
  readonly #sockets: readonly [Socket, Socket];
  readonly #input: StreamInput;
  readonly #output: StreamOutput;
  /**
   * @param peer whom the remote shell names; only access lists look at it.
   * @throws ConfigError when a descriptor is neither a pipe nor a socket.
   */
  constructor(peer: PeerAddress = { address: '', port: 0 }, streams: StandardStreams = { input: 0, output: 1 }) {
    this.peer = peer;
    const input = openStream('input', streams.input);
    const output = openStream('output', streams.output);
    this.#sockets = [input, output];
    this.#input = new StreamInput(input);
    this.#output = new StreamOutput(output);
    for (const socket of this.#sockets) {
      socket.on('error', (error: NodeJS.ErrnoException) => this.#fail(connectionBroken(error)));
    }
    input.on('close', () => {
      if (!this.#input.isEnded) this.#fail(new PeerGone());
    });
    output.on('close', () => {
      if (!output.writableFinished) this.#fail(new PeerGone());
      this.#output.close();
    });
  }

  get queuedBytes(): number {
    return this.#output.queuedBytes;
  }

  get isBroken(): boolean {
    return this.#output.isBroken;
  }

  tryRead(): Buffer | null {
    return this.#input.tryRead();
  }

  read(): Promise<Buffer | null> {
    return this.#input.read();
  }

  write(bytes: Uint8Array, released?: () => void): void {
    this.#output.write(bytes, released);
  }

  drained(maxQueuedBytes: number): Promise<void> {
    return this.#output.drained(maxQueuedBytes);
  }

  endWrite(): void {
    this.#output.end();
  }

  destroy(): void {
    this.#fail(new PeerGone('connection closed by us'));
    for (const socket of this.#sockets) socket.destroy();
  }

  #fail(reason: PeerGone): void {
    this.#input.fail(reason);
    this.#output.fail(reason);
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
