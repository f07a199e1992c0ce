/**
 * The HTTP listener for those who watch the daemon: one short answer to each connection, nothing that a client sends is kept.
 *
 * GET and HEAD only, no body, no second request on a connection.
 */

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { limitHits } from '../limit-hits.ts';
import type { Limits } from '../limits.ts';
import { hostPortText, type InheritedDescriptor, type Listener, started, type TcpAddress } from './tcp.ts';

/** One answer. */
export interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  /** Content-Security-Policy; without one, nothing at all may be loaded. */
  readonly policy?: string;
}

/** @param path of the request, without its query. @returns null for what does not exist. */
export type PageSource = (path: string) => Promise<Page | null>;

export type MonitoringLimits = Pick<Limits, 'monitoringConnections' | 'monitoringHeaderBytes' | 'monitoringMs'>;

/** Unaccepted connections that the kernel keeps for us. */
const BACKLOG = 64;

const NO_CONTENT = "default-src 'none'; frame-ancestors 'none'";

const NOT_FOUND: Page = {
  status: 404,
  type: 'text/plain; charset=utf-8',
  body: 'not found: / /metrics /healthz /readyz\n',
};
const NOT_ALLOWED: Page = { status: 405, type: 'text/plain; charset=utf-8', body: 'GET and HEAD only\n' };
const FAILED: Page = { status: 500, type: 'text/plain; charset=utf-8', body: 'internal error\n' };

/**
 * Serves pages on a TCP address or an inherited stream socket.
 * @param onError takes what a page threw; its client reads "internal error".
 * @throws ConfigError naming the place.
 */
export async function listenMonitoring(
  place: TcpAddress | InheritedDescriptor,
  pages: PageSource,
  limits: MonitoringLimits,
  onError: (thrown: unknown) => void,
): Promise<Listener> {
  const server = await boundedServer(limits, (request, response) => {
    answer(request, response, pages).catch((thrown: unknown) => {
      onError(thrown);
      if (response.headersSent) response.destroy();
      else send(request, response, FAILED);
    });
  });
  const wanted = 'fd' in place ? `inherited descriptor ${place.fd}` : hostPortText(place.host, place.port);
  const options = 'fd' in place ? { fd: place.fd } : { host: place.host, port: place.port };
  await started(server, { ...options, backlog: BACKLOG }, wanted);
  server.on('error', onError);
  const bound = server.address();
  const isTcp = bound !== null && typeof bound === 'object';
  return {
    addressText: isTcp ? hostPortText(bound.address, bound.port) : `unix socket (${wanted})`,
    port: isTcp ? bound.port : 0,
    close: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function boundedServer(
  limits: MonitoringLimits,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Server> {
  const { monitoringConnections, monitoringHeaderBytes, monitoringMs } = limits;
  // Node's HTTP brings a client, WebSocket and more with it: a start that nobody monitors does not wait for that.
  const { createServer } = await import('node:http');
  const server = createServer(
    {
      maxHeaderSize: monitoringHeaderBytes,
      headersTimeout: monitoringMs,
      requestTimeout: monitoringMs,
      connectionsCheckingInterval: Math.min(1000, monitoringMs),
      keepAlive: false,
      requireHostHeader: false,
      insecureHTTPParser: false,
    },
    onRequest,
  );
  server.maxConnections = monitoringConnections;
  server.maxRequestsPerSocket = 1;
  server.keepAliveTimeout = 1;
  server.on('connection', (socket: Socket) => {
    // SECURITY: neither a client that sends nothing nor one that reads nothing keeps its connection beyond this.
    const timer = setTimeout(() => {
      limitHits.count('monitoringMs');
      socket.destroy();
    }, monitoringMs);
    timer.unref();
    socket.on('close', () => clearTimeout(timer));
  });
  server.on('drop', () => limitHits.count('monitoringConnections'));
  server.on('clientError', refuseBroken);
  // SECURITY: without a listener Node closes CONNECT, and takes an upgrade for an ordinary request.
  return server;
}

/** As Node does it without a listener, with the bounds counted. */
function refuseBroken({ code }: NodeJS.ErrnoException, socket: Duplex): void {
  const isLong = code === 'HPE_HEADER_OVERFLOW';
  const isLate = code === 'ERR_HTTP_REQUEST_TIMEOUT';
  if (isLong) limitHits.count('monitoringHeaderBytes');
  if (isLate) limitHits.count('monitoringMs');
  const status = isLong ? '431 Request Header Fields Too Large' : isLate ? '408 Request Timeout' : '400 Bad Request';
  if (socket.writable) socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
  socket.destroy();
}

async function answer(request: IncomingMessage, response: ServerResponse, pages: PageSource): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return send(request, response, NOT_ALLOWED);
  }
  const path = (request.url ?? '/').split('?', 1)[0]!;
  send(request, response, (await pages(path)) ?? NOT_FOUND);
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, body, policy }: Page): void {
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Content-Security-Policy': policy ?? NO_CONTENT,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Resource-Policy': 'same-origin',
    Connection: 'close',
  });
  response.end(request.method === 'HEAD' ? undefined : body);
  // What the client still sends as a body is not read: the connection ends with our answer.
  request.on('error', () => {});
}
