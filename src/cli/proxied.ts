/** How the sockets of a listener become clients: as they are, or behind the header of a proxy; the listeners are opened with this. */

import { parseHostLists } from '../config/acl.ts';
import type { ProxySettings } from '../config/config.ts';
import type { Limits } from '../limits.ts';
import { behindProxy, type OnClient } from '../listener/proxy.ts';
import { peerOf } from '../listener/socket-transport.ts';
import type { OnSocket } from '../listener/tcp.ts';
import type { SharedCounts } from '../shared.ts';
import type { RunningSessions } from './running-sessions.ts';

/** What all listeners of a worker share. */
export interface ProxiedSetup {
  readonly sessions: Pick<RunningSessions, 'headerMissing'>;
  readonly limits: Limits;
  /** Connections whose header has not come yet, of the process. */
  readonly waiting: SharedCounts;
}

/** @param onClient takes each socket over, with the address of the client behind it. */
export function clientsOf(
  { proxyTrusted }: ProxySettings,
  { sessions, limits, waiting }: ProxiedSetup,
  onClient: OnClient,
): OnSocket {
  if (proxyTrusted === undefined) return (socket) => onClient(socket, peerOf(socket));
  const { allows } = parseHostLists(proxyTrusted, ['all']);
  return behindProxy(onClient, {
    trusts: allows,
    limits,
    waiting,
    onRefused: (peer, reason) => sessions.headerMissing(peer, reason),
  });
}
