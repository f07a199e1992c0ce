/** Listeners on real ports and descriptors. */

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../../../src/errors.ts';
import type { SocketTransport } from '../../../src/listener/socket-transport.ts';
import { type Listener, listenFd, listenTcp } from '../../../src/listener/tcp.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function listen(host: string, port = 0): Promise<{ listener: Listener; next: () => Promise<SocketTransport> }> {
  const waiting: ((transport: SocketTransport) => void)[] = [];
  const listener = await listenTcp({ host, port }, (transport) => {
    cleanups.push(() => transport.destroy());
    waiting.shift()?.(transport);
  });
  cleanups.push(() => listener.close());
  return { listener, next: () => new Promise((resolve) => waiting.push(resolve)) };
}

const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));

/** Ports below this need a capability. */
const firstFreePort = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));

describe('listenTcp', () => {
  it('reports the port that the kernel chose and serves on it', async () => {
    const { listener, next } = await listen('127.0.0.1');
    expect(listener.addressText).toBe(`127.0.0.1:${listener.port}`);
    const accepted = next();
    const client = connect(listener.port, '127.0.0.1');
    const transport = await accepted;
    expect(transport.peer).toEqual({ address: '127.0.0.1', port: client.localPort });
    client.destroy();
  });

  it.skipIf(!hasIpv6)('writes IPv6 addresses in brackets (skipped: no IPv6 loopback)', async () => {
    const { listener } = await listen('::1');
    expect(listener.addressText).toBe(`[::1]:${listener.port}`);
  });

  it.skipIf(!hasIpv6)('shows IPv4 peers of a dual-stack socket as IPv4 (skipped: no IPv6)', async () => {
    const { listener, next } = await listen('::');
    const accepted = next();
    const client = connect(listener.port, '127.0.0.1');
    expect((await accepted).peer.address).toBe('127.0.0.1');
    client.destroy();
  });

  it('refuses an address in use, naming it and the reason', async () => {
    const { listener } = await listen('127.0.0.1');
    const again = listenTcp({ host: '127.0.0.1', port: listener.port }, () => {});
    await expect(again).rejects.toBeInstanceOf(ConfigError);
    await expect(again).rejects.toThrow(`cannot listen on 127.0.0.1:${listener.port}: EADDRINUSE`);
  });

  it('refuses an address that the machine does not have', async () => {
    await expect(listenTcp({ host: '192.0.2.1', port: 0 }, () => {})).rejects.toThrow(
      'cannot listen on 192.0.2.1:0: EADDRNOTAVAIL (no interface',
    );
  });

  it.skipIf(firstFreePort < 2 || process.getuid?.() !== 0)(
    'says what ports below 1024 need (skipped: not root, or every port is free to use)',
    () => {
      const tcp = join(import.meta.dirname, '../../../src/listener/tcp.ts');
      const script = `const { listenTcp } = await import(${JSON.stringify(tcp)});
        await listenTcp({ host: '127.0.0.1', port: 1 }, () => {}).catch((error) => console.log(error.message));`;
      const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { uid: 65534, gid: 65534 });
      expect(String(child.stdout)).toContain('cannot listen on 127.0.0.1:1: EACCES (ports below 1024 need root');
    },
  );

  it('stops accepting on close, frees the port and leaves sessions alone', async () => {
    const { listener, next } = await listen('127.0.0.1');
    const accepted = next();
    const client = connect(listener.port, '127.0.0.1');
    const transport = await accepted;
    await listener.close();
    transport.write(Buffer.from('still here'));
    expect(String((await once(client, 'data'))[0])).toBe('still here');
    const { listener: second } = await listen('127.0.0.1', listener.port);
    expect(second.port).toBe(listener.port);
    client.destroy();
  });
});

describe('listenFd', () => {
  it('refuses a descriptor that is not a socket', async () => {
    await expect(listenFd(0x7fff, () => {})).rejects.toThrow(
      'cannot listen on inherited descriptor 32767: EINVAL (it is not a listening stream socket)',
    );
  });
});
