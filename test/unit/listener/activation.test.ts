/** Socket activation: the variables as text, and real sockets passed to a child process. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { inheritedSockets } from '../../../src/listener/activation.ts';

const PID = 4711;

function ask(fds: string, names?: string, pid = String(PID)): ReturnType<typeof inheritedSockets> {
  return inheritedSockets({ LISTEN_PID: pid, LISTEN_FDS: fds, LISTEN_FDNAMES: names }, PID, () => true);
}

describe('the variables', () => {
  it('pass nothing when they are not set', () => {
    expect(inheritedSockets({}, PID, () => true)).toEqual([]);
  });

  it('pass nothing when they are for another process', () => {
    expect(ask('1', 'rsyncd', '4712')).toEqual([]);
  });

  it('pass named sockets from descriptor 3 on', () => {
    expect(ask('2', 'rsyncd:rsyncd')).toEqual([
      { fd: 3, name: 'rsyncd' },
      { fd: 4, name: 'rsyncd' },
    ]);
  });

  it.each([undefined, '', 'gokr-rsyncd.socket', 'unknown'])('take a single socket named %j for rsyncd', (name) => {
    expect(ask('1', name)).toEqual([{ fd: 3, name: 'rsyncd' }]);
  });

  it('are refused when one of several names is unknown', () => {
    expect(() => ask('2', 'rsyncd:web')).toThrow('inherited descriptor 4 has the unknown name "web"');
  });

  it.each(['anon_ssh', 'authorized_ssh', 'tls', 'metrics'])('pass a socket named %s', (name) => {
    expect(ask('1', name)).toEqual([{ fd: 3, name }]);
  });

  it('are refused when names and sockets differ in number', () => {
    expect(() => ask('2', 'rsyncd')).toThrow('LISTEN_FDNAMES holds 1 names for 2 sockets');
  });

  it.each(['x', '-1', '1.5', '', '99999999999'])('are refused when the count is %j', (count) => {
    expect(() => ask(count)).toThrow(/LISTEN_FDS is/);
  });

  it('accept 64 sockets and refuse 65', () => {
    const names = (count: number): string => new Array(count).fill('rsyncd').join(':');
    expect(ask('64', names(64)).length).toBe(64);
    expect(() => ask('65', names(65))).toThrow('at most 64');
  });

  it('are refused when a descriptor is not a socket', () => {
    const environment = { LISTEN_PID: String(PID), LISTEN_FDS: '1' };
    expect(() => inheritedSockets(environment, PID, () => false)).toThrow(
      'LISTEN_FDS: descriptor 3 (rsyncd) is not an open socket',
    );
  });
});

const CHILD = join(import.meta.dirname, 'inherited-child.ts');
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** A child with `fd` as its descriptor 3; the shell knows the pid that LISTEN_PID must hold. */
function startChild(fd: number | 'ignore', names: string): ChildProcess {
  const command = `LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=${names} exec "$0" "$1"`;
  const child = spawn('sh', ['-c', command, process.execPath, CHILD], { stdio: ['ignore', 'pipe', 'inherit', fd] });
  cleanups.push(() => child.kill());
  return child;
}

function descriptorOf(socket: Server | Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
}

async function firstLine(child: ChildProcess): Promise<string> {
  return String((await once(child.stdout!, 'data'))[0]).trim();
}

async function greetingFrom(client: Socket): Promise<string> {
  const [chunk] = await once(client, 'data');
  client.end();
  return String(chunk);
}

describe('inherited sockets', () => {
  it('serve TCP connections on the address that the parent bound', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const child = startChild(descriptorOf(server), 'rsyncd');
    expect(await firstLine(child)).toBe(`3 rsyncd 127.0.0.1:${port}`);
    server.close();
    expect(await greetingFrom(connect(port, '127.0.0.1'))).toBe('hello from rsyncd, "127.0.0.1"');
    await once(child, 'exit');
  });

  it('are refused when they are connections (Accept=yes)', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(() => server.close());
    const client = connect((server.address() as { port: number }).port, '127.0.0.1');
    await once(client, 'connect');
    cleanups.push(() => client.destroy());
    expect(await firstLine(startChild(descriptorOf(client), 'rsyncd'))).toBe(
      'cannot listen on inherited descriptor 3: EINVAL (it is not a listening stream socket)',
    );
  });

  it('are refused when the descriptor is a file', async () => {
    expect(await firstLine(startChild('ignore', 'rsyncd'))).toBe(
      'LISTEN_FDS: descriptor 3 (rsyncd) is not an open socket',
    );
  });

  const hasActivate = spawnSync('systemd-socket-activate', ['--version']).status === 0;

  async function activated(address: string): Promise<ChildProcess> {
    const child = spawn('systemd-socket-activate', ['-l', address, '--fdname=rsyncd', process.execPath, CHILD], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    cleanups.push(() => child.kill());
    // It listens once it says so, and starts the program at the first connection.
    await once(child.stderr, 'data');
    return child;
  }

  it.skipIf(!hasActivate)('come from systemd itself (skipped: no systemd-socket-activate)', async () => {
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as { port: number };
    await new Promise((resolve) => probe.close(resolve));
    const child = await activated(`127.0.0.1:${port}`);
    const client = connect(port, '127.0.0.1');
    expect(await firstLine(child)).toBe(`3 rsyncd 127.0.0.1:${port}`);
    expect(await greetingFrom(client)).toBe('hello from rsyncd, "127.0.0.1"');
  });

  it.skipIf(!hasActivate)('may be unix sockets, whose peers have no address (skipped: as above)', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'listen-'));
    cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
    const path = join(directory, 's');
    const child = await activated(path);
    const client = connect(path);
    expect(await firstLine(child)).toBe('3 rsyncd unix socket (inherited descriptor 3)');
    expect(await greetingFrom(client)).toBe('hello from rsyncd, ""');
  });
});
