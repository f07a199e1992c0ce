/** One accepted stream socket as a Transport: pull reading, counted writing. The listeners make one for each connection. */

import type { Socket } from 'node:net';
import { PeerGone } from '../errors.ts';
import type { PeerAddress } from '../wire/transport.ts';
import { clientOf } from './address-key.ts';
import { StreamTransport } from './stream-transport.ts';

/** One for all, as for those that we close. */
const CLOSED_BY_PEER = new PeerGone();

/** Silence before the kernel asks whether the peer is alive; then ten probes, one each 15 s. Half of it annoys mobile links. */
export const KEEP_ALIVE = { idleMs: 60_000, intervalMs: 15_000, probes: 10 } as const;

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
export class SocketTransport extends StreamTransport {
  readonly #socket: Socket;

  /**
   * @param socket sets no options on it: the listener did (TCP_NODELAY, keep-alive, high-water mark).
   * @param peer the client, where a proxy is at the socket's other end.
   */
  constructor(socket: Socket, peer: PeerAddress = peerOf(socket)) {
    super(peer, { input: socket, output: socket }, clientOf(peer.address));
    this.#socket = socket;
    socket.on('close', () => {
      if (!(this.input.isEnded && this.output.isEnding)) this.fail(CLOSED_BY_PEER);
      this.output.close();
    });
  }

  /** Bytes that the kernel has taken since the connection began. */
  get bytesSent(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength;
  }
}
