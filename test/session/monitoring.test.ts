/** The monitoring listener of a running daemon: what it answers, and that nobody can hold it up. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limitHitsOf, MONITORED } from './support/limit-hits.ts';
import { openStage, type Stage } from './support/stage.ts';

const MONITORING_MS = 1500;
const CONNECTIONS = 8;

let stage: Stage;
let port: number;

beforeAll(async () => {
  stage = await openStage({
    globals: { 'limits.monitoringMs': MONITORING_MS, 'limits.monitoringConnections': CONNECTIONS },
    process: { args: MONITORED },
  });
  const { address } = await stage.server.waitFor(({ msg }) => msg === 'monitoring');
  port = Number(String(address).split(':').at(-1));
});

afterAll(() => stage.close());

const get = (path: string, init: RequestInit = {}) => fetch(`http://127.0.0.1:${port}${path}`, init);

/** Sends bytes and returns what comes until the server closes. */
async function raw(bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => {});
  socket.write(bytes);
  await once(socket, 'close');
  return text;
}

describe('the monitoring listener', () => {
  it('counts sessions of real clients', async () => {
    await stage.expectHonestPull();
    await stage.rsync(['URL/nowhere/']);
    await expect
      .poll(async () => (await get('/metrics')).text(), { timeout: 10_000 })
      .toContain('gokr_rsyncd_sessions_total{module="",outcome="access:unknown-module"} 1');
    const text = await (await get('/metrics')).text();
    expect(text).toContain('gokr_rsyncd_sessions_total{module="pub",outcome="ok"} 1');
    expect(text).toMatch(/^gokr_rsyncd_sent_files_total\{module="pub"\} 4$/m);
    expect(text).toMatch(/^gokr_rsyncd_phase_seconds_count\{phase="transfer"\} 1$/m);
    expect(text).toMatch(/^gokr_rsyncd_phase_seconds_count\{phase="file list"\} 1$/m);
    expect(Number(/^gokr_rsyncd_sent_bytes_total\{module="pub"\} (\d+)$/m.exec(text)![1])).toBeGreaterThan(300_000);
  });

  it('has every series that the dashboard for Grafana asks for, once something has happened', async () => {
    const file = readFileSync(join(import.meta.dirname, '../../deploy/grafana/dashboard.json'), 'utf8');
    const { panels } = JSON.parse(file) as { panels: { targets: { expr: string }[] }[] };
    const wanted = panels.flatMap(({ targets }) =>
      targets.flatMap(({ expr }) => expr.match(/\b(gokr_rsyncd|process)_\w+/g)),
    );
    const text = await (await get('/metrics')).text();
    const there = new Set([...text.matchAll(/^(\w+)(?:\{[^\n]*\})? [-+\d.eE]+$/gm)].map(([, name]) => name!));
    expect(wanted.length).toBeGreaterThan(10);
    expect(wanted.filter((name) => !there.has(name!))).toEqual([]);
  });

  it('shows a session that runs, and what became of earlier ones', async () => {
    const peer = await stage.connect();
    peer.send(Buffer.from('@RSYNCD: 31.0\npub\n'));
    await expect.poll(async () => (await get('/')).text(), { timeout: 10_000 }).toContain('<span>arguments</span>');
    const page = await get('/');
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await page.text()).toContain('127.0.0.1');
    peer.close();
  });

  it('is healthy and ready, and answers HEAD without a body', async () => {
    expect(await (await get('/healthz')).text()).toBe('ok\n');
    expect(await (await get('/readyz?verbose')).text()).toBe('ready\n');
    const head = await get('/metrics', { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect(Number(head.headers.get('content-length'))).toBeGreaterThan(1000);
  });

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('refuses %s', async (method) => {
    const answer = await get('/', { method });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  it.each(['/nothing', '/../etc/passwd', '//', '/metrics/'])('knows no %s', async (path) => {
    expect(await raw(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)).toMatch(/^HTTP\/1\.1 404 /);
  });

  it('answers one request on a connection', async () => {
    const one = 'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n';
    expect((await raw(one.repeat(50))).match(/HTTP\/1\.1 200/g)).toHaveLength(1);
  });

  it('takes neither tunnels nor upgrades nor a long header', async () => {
    expect(await raw('CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n')).not.toContain('200');
    expect(await raw('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')).not.toContain(
      '101',
    );
    expect(await raw(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
  });

  it('ends connections that send nothing, trickle, or promise a body', async () => {
    await raw('');
    await raw('GET / HT');
    await raw('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n');
    await stage.expectHonestPull();
  });

  it('closes connections above their number, and answers when they are gone', async () => {
    const sockets = Array.from({ length: 3 * CONNECTIONS }, () => connect(port, '127.0.0.1').on('error', () => {}));
    await Promise.all(sockets.map((socket) => once(socket, 'close')));
    await expect.poll(async () => (await get('/healthz').catch(() => null))?.status, { timeout: 10_000 }).toBe(200);
  });

  it('counts the connections, headers and times that it ended', async () => {
    const hits = await limitHitsOf(stage.server);
    expect(hits.get('monitoringHeaderBytes')).toBe(1);
    expect(hits.get('monitoringConnections')).toBeGreaterThanOrEqual(2 * CONNECTIONS);
    expect(hits.get('monitoringMs')).toBeGreaterThan(0);
  });
});

describe('readiness', () => {
  it('fails while the daemon drains, and the last session goes on', async () => {
    const draining = await openStage({ process: { args: MONITORED } });
    const { address } = await draining.server.waitFor(({ msg }) => msg === 'monitoring');
    const peer = await draining.connect();
    peer.send(Buffer.from('@RSYNCD: 31.0\npub\n'));
    const url = `http://${address}`;
    await expect
      .poll(async () => (await fetch(`${url}/`)).text(), { timeout: 10_000 })
      .toContain('<span>arguments</span>');
    draining.server.kill('SIGTERM');
    await draining.server.waitFor(({ msg }) => msg === 'stopping');
    const answer = await fetch(`${url}/readyz`);
    expect([answer.status, await answer.text()]).toEqual([503, 'draining\n']);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    peer.close();
    await draining.close();
  });

  it('serves on an inherited socket that is called metrics', async () => {
    const rsync = createServer().listen(0, '127.0.0.1');
    const metrics = createServer().listen(0, '127.0.0.1');
    await Promise.all([once(rsync, 'listening'), once(metrics, 'listening')]);
    const fdOf = (server: typeof rsync) => (server as unknown as { _handle: { fd: number } })._handle.fd;
    const { port: metricsPort } = metrics.address() as AddressInfo;
    const served = await openStage({
      process: {
        descriptors: [fdOf(rsync), fdOf(metrics)],
        env: { LISTEN_FDS: '2', LISTEN_FDNAMES: 'rsyncd:metrics' },
        wrap: ['sh', '-c', 'LISTEN_PID=$$ exec "$@"', 'sh'],
      },
    });
    // Our own copies accept nothing any more; the daemon's do.
    rsync.close();
    metrics.close();
    const answer = await fetch(`http://127.0.0.1:${metricsPort}/readyz`);
    expect(await answer.text()).toMatch(/^(ready|starting)\n$/);
    await served.close();
  });
});
