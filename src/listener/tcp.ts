/** TCP listeners and listening sockets inherited from a service manager; main.ts opens them before it drops its rights. */

import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { ConfigError } from '../errors.ts';
import { KEEP_ALIVE, SocketTransport } from './socket-transport.ts';
import { READ_HIGH_WATER_MARK } from './stream-input.ts';

/** Something that yields connections until it is closed. */
export interface Listener {
  /** Where it listens, as a client would write it: `127.0.0.1:8730`, `[::1]:873`; for people, in the log. */
  readonly addressText: string;
  /** 0 where there is none (unix socket). */
  readonly port: number;
  /** Stops accepting. Sessions that run are not cut and not waited for. */
  close(): Promise<void>;
}

export interface TcpAddress {
  /** Numeric address or host name. */
  host: string;
  /** 0 picks a free one. */
  port: number;
  backlog?: number;
}

/** A listening socket that somebody else has opened. */
export interface InheritedDescriptor {
  readonly fd: number;
}

/** A unix socket of our own, for this user alone; it is removed when the listener closes. */
export interface UnixPath {
  readonly path: string;
}

/** A listening socket that nobody accepts on yet. */
export interface HeldSocket extends Pick<Listener, 'addressText' | 'port'> {
  /** The caller's to close. */
  readonly fd: number;
}

/** Called once per connection; must not throw. */
export type OnConnection = (transport: SocketTransport) => void;

/** Owns the socket, which has no error listener yet; it must add one at once. Must not throw. */
export type OnSocket = (socket: Socket) => void;

/** Called when the kernel fails to give us a connection (out of descriptors); the listener goes on. */
export type OnAcceptError = (error: Error) => void;

/** umask under which only we may connect to a socket that we make. */
const OWN_SOCKET_UMASK = 0o177;

/** What most kernels cap the queue of unaccepted connections at anyway. */
export const BACKLOG = 511;

const HINTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there, or a file has that name',
  EACCES: 'ports below 1024 need root, CAP_NET_BIND_SERVICE or socket activation; 8730 does not',
  EADDRNOTAVAIL: 'no interface of this machine has the address',
  EAFNOSUPPORT: 'this machine has no IPv6; use 0.0.0.0',
  ENOTFOUND: 'the host name is unknown',
};

/**
 * Listens on a TCP address.
 * @throws ConfigError naming the address and the reason.
 */
export async function listenTcp(
  address: TcpAddress,
  onConnection: OnConnection,
  onAcceptError: OnAcceptError = () => {},
): Promise<Listener> {
  return listenSockets(address, (socket) => onConnection(new SocketTransport(socket)), onAcceptError);
}

/**
 * Accepts on a listening stream socket (TCP or unix) that was inherited as descriptor `fd`, and owns it from here on.
 * @throws ConfigError when it is not one.
 */
export async function listenFd(
  fd: number,
  onConnection: OnConnection,
  onAcceptError: OnAcceptError = () => {},
): Promise<Listener> {
  return listenSockets({ fd }, (socket) => onConnection(new SocketTransport(socket)), onAcceptError);
}

/**
 * Makes a unix socket that only this user can connect to, and listens on it.
 * @throws ConfigError when it cannot be made, also when the path exists.
 */
export async function listenUnix(
  { path }: UnixPath,
  onConnection: OnConnection,
  onAcceptError: OnAcceptError = () => {},
): Promise<Listener> {
  const umask = process.umask(OWN_SOCKET_UMASK);
  try {
    const onSocket = (socket: Socket): void => onConnection(new SocketTransport(socket));
    return { ...(await listen({ path, backlog: BACKLOG }, path, onSocket, onAcceptError)), addressText: path };
  } finally {
    process.umask(umask);
  }
}

/**
 * Makes a unix socket as `listenUnix` does, for the next stage of this process.
 * @returns its descriptor, which listens already, and stays open as long as this process does.
 * @throws ConfigError when it cannot be made.
 */
export async function bindUnix({ path }: UnixPath): Promise<number> {
  const umask = process.umask(OWN_SOCKET_UMASK);
  const server = createServer();
  try {
    await started(server, { path, backlog: BACKLOG }, path);
  } finally {
    process.umask(umask);
  }
  return (server as unknown as { _handle: { fd: number } })._handle.fd;
}

/**
 * As `listenTcp` and `listenFd`, for a listener that puts something between the socket and its transport (tls.ts).
 * @throws ConfigError naming the address or the descriptor, and the reason.
 */
export async function listenSockets(
  place: TcpAddress | InheritedDescriptor,
  onSocket: OnSocket,
  onAcceptError: OnAcceptError = () => {},
): Promise<Listener> {
  // Node has no way to ask for SO_ACCEPTCONN; listen(2) on anything but a stream socket that can accept fails instead.
  if ('fd' in place) {
    const { fd } = place;
    return listen({ fd, backlog: BACKLOG }, `inherited descriptor ${fd}`, onSocket, onAcceptError);
  }
  const { host, port, backlog = BACKLOG } = place;
  return listen({ host, port, backlog }, hostPortText(host, port), onSocket, onAcceptError);
}

/**
 * Opens a listening socket for event loops that are still to come: each will accept on a duplicate of its own.
 * @param duplicate gives another descriptor for the same socket.
 * @throws ConfigError as `listenSockets`.
 */
export async function holdSocket(
  place: TcpAddress | InheritedDescriptor,
  duplicate: (fd: number) => number,
): Promise<HeldSocket> {
  const server = createServer();
  const own = 'fd' in place ? { fd: duplicate(place.fd) } : place;
  const wanted = 'fd' in place ? `inherited descriptor ${place.fd}` : hostPortText(place.host, place.port);
  await started(server, { backlog: BACKLOG, ...own }, wanted);
  // Nothing has been accepted here: the event loop has not turned since.
  const where = placeOf(server, wanted);
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  const kept = 'fd' in place ? place.fd : duplicate(fd);
  server.close();
  return { ...where, fd: kept };
}

async function listen(
  options: ListenOptions & { fd?: number },
  wanted: string,
  onSocket: (socket: Socket) => void,
  onAcceptError: OnAcceptError,
): Promise<Listener> {
  const server = createServer({
    // The client half-closes at the end of some sessions and still expects our last bytes.
    allowHalfOpen: true,
    noDelay: true,
    highWaterMark: READ_HIGH_WATER_MARK,
  });
  await started(server, options, wanted);
  server.on('error', onAcceptError);
  const { isTcp, ...where } = placeOf(server, wanted);
  server.on('connection', (socket: Socket) => accept(socket, isTcp, onSocket));
  return {
    ...where,
    close: async () => {
      // The socket is closed when this returns; the callback would wait for the last session.
      server.close();
    },
  };
}

/** Why a listener could not be opened, for an address that somebody else has tried to bind. @param code as `EADDRINUSE`. */
export function listenRefusal({ host, port }: TcpAddress, code: string): ConfigError {
  return refusal(hostPortText(host, port), code, HINTS[code]);
}

function refusal(wanted: string, code: string, hint?: string, cause?: unknown): ConfigError {
  return new ConfigError(`cannot listen on ${wanted}: ${code}${hint ? ` (${hint})` : ''}`, { cause });
}

function placeOf(server: Server, wanted: string): { addressText: string; port: number; isTcp: boolean } {
  const bound = server.address();
  if (bound !== null && typeof bound === 'object') {
    return { addressText: hostPortText(bound.address, bound.port), port: bound.port, isTcp: true };
  }
  // Node does not tell the path of an inherited unix socket.
  return { addressText: `unix socket (${wanted})`, port: 0, isTcp: false };
}

/** Binds a server of net or http. @param wanted names the place in messages. @throws ConfigError with the reason. */
export function started(server: Server, options: ListenOptions & { fd?: number }, wanted: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = (error: NodeJS.ErrnoException): void => {
      const code = error.code ?? error.message;
      const hint =
        options.fd === undefined || code === 'EADDRINUSE' ? HINTS[code] : 'it is not a listening stream socket';
      reject(refusal(wanted, code, hint, error));
    };
    server.once('error', refused);
    server.once('listening', () => {
      server.off('error', refused);
      resolve();
    });
    const { fd, backlog = BACKLOG } = options;
    const { _listen2: listenAlone } = server as Partial<LoneServer>;
    if (fd === undefined || listenAlone === undefined) server.listen(options);
    else listenAlone.call(server, null, null, null, backlog, fd);
  });
}

/**
 * What Server.listen ends in. Before that it loads what processes share sockets with (cluster, child_process, dgram): a twentieth of a
 * start, and 1 MiB.
 */
interface LoneServer {
  _listen2(address: null, port: null, family: null, backlog: number, fd: number): void;
}

function accept(socket: Socket, isTcp: boolean, onSocket: (socket: Socket) => void): void {
  // SECURITY: a peer that resets before we look has no address any more. It must not pass as an unix socket peer,
  // which is exempt from the per-address caps.
  if (isTcp && socket.remoteAddress === undefined) {
    socket.on('error', () => {});
    socket.destroy();
    return;
  }
  if (isTcp) socket.setKeepAlive(true, KEEP_ALIVE.idleMs, KEEP_ALIVE.intervalMs, KEEP_ALIVE.probes);
  onSocket(socket);
}

/** An address as clients write it. */
export function hostPortText(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
