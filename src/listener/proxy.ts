/** Listeners behind a proxy: each connection begins with a PROXY header, which says whose it is. listeners.ts puts this in front of them. */

import type { Socket } from 'node:net';
import { AccessError, LimitError, PeerGone, type RsyncError, TimeoutError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { SharedCounts } from '../shared.ts';
import type { PeerAddress } from '../wire/transport.ts';
import { type ProxyHeader, parseProxyHeader } from './proxy-header.ts';
import { peerOf } from './socket-transport.ts';

export interface ProxyOptions {
  /** Whether connections from this address come from a proxy of ours. */
  readonly trusts: (address: string) => boolean;
  readonly limits: Pick<Limits, 'proxyHeaderMs' | 'proxyHeadersWaiting'>;
  /** Connections whose header has not come yet, of all listeners and workers. */
  readonly waiting: SharedCounts;
  /** A connection was closed, and why. */
  readonly onRefused: (peer: PeerAddress, reason: RsyncError) => void;
}

/** Takes over a socket; `peer` is the client, wherever the socket leads. Must not throw. */
export type OnClient = (socket: Socket, peer: PeerAddress) => void;

/**
 * What a listener does with its sockets: reads the header, then hands the socket on. One for each listener.
 *
 * SECURITY: nobody else's header is looked at (CVE-2026-53791): a client that connects directly, past the proxy, could claim any
 * address, and without a header it would be served under rules that are meant for the proxy's clients. It is closed.
 */
export function behindProxy(
  onClient: OnClient,
  { trusts, limits, waiting, onRefused }: ProxyOptions,
): (socket: Socket) => void {
  const accept = async (socket: Socket): Promise<void> => {
    const proxy = peerOf(socket);
    try {
      if (!trusts(proxy.address)) throw new AccessError('not a trusted proxy', '', { code: 'access:proxy' });
      if (!waiting.take(limits.proxyHeadersWaiting)) {
        throw new LimitError('proxyHeadersWaiting', 'too many without header');
      }
      const { client } = await readHeader(socket, limits.proxyHeaderMs).finally(() => waiting.give());
      onClient(socket, client ?? proxy);
    } catch (thrown) {
      socket.on('error', () => {});
      socket.destroy();
      onRefused(proxy, thrown as RsyncError);
    }
  };
  return (socket) => void accept(socket);
}

/** Takes the header off the socket's input. The socket has no listener of ours afterwards, and its next byte is the client's. */
function readHeader(socket: Socket, deadlineMs: number): Promise<ProxyHeader> {
  return new Promise((resolve, reject) => {
    let seen: Buffer = Buffer.alloc(0);
    const onReadable = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      seen = Buffer.concat([seen, chunk]);
      try {
        const header = parseProxyHeader(seen);
        if (header === null) return;
        // Before anything is put back, which is a reason to be called again.
        detach();
        if (seen.length > header.bytes) socket.unshift(seen.subarray(header.bytes));
        resolve(header);
      } catch (thrown) {
        fail(thrown);
      }
    };
    const onGone = (): void => fail(new PeerGone());
    const fail = (reason: unknown): void => {
      detach();
      reject(reason);
    };
    const late = new TimeoutError('timeout: the PROXY header', { limit: 'proxyHeaderMs' });
    const timer = setTimeout(fail, deadlineMs, late);
    const listeners = { readable: onReadable, end: onGone, close: onGone, error: onGone };
    const detach = (): void => {
      clearTimeout(timer);
      for (const [event, listener] of Object.entries(listeners)) socket.off(event, listener);
    };
    for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener);
  });
}
