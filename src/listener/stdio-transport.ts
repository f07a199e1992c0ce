/** Standard input and output as a Transport, for the modes that a remote shell starts; cli/command-mode.ts makes the only one. */

import { isIP, Socket } from 'node:net';
import { ConfigError, PeerGone } from '../errors.ts';
import type { PeerAddress } from '../wire/transport.ts';
import { normaliseAddress } from './socket-transport.ts';
import { READ_HIGH_WATER_MARK } from './stream-input.ts';
import { StreamTransport } from './stream-transport.ts';

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
export class StdioTransport extends StreamTransport {
  /**
   * @param peer whom the remote shell names; only access lists look at it.
   * @throws ConfigError when a descriptor is neither a pipe nor a socket.
   */
  constructor(peer: PeerAddress = { address: '', port: 0 }, streams: StandardStreams = { input: 0, output: 1 }) {
    const sockets = { input: openStream('input', streams.input), output: openStream('output', streams.output) };
    super(peer, sockets);
    sockets.input.on('close', () => {
      if (!this.input.isEnded) this.fail(new PeerGone());
    });
    sockets.output.on('close', () => {
      if (!sockets.output.writableFinished) this.fail(new PeerGone());
      this.output.close();
    });
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
