/** SocketTransport over real loopback sockets: one side under test, the other a plain net.Socket. */

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { PeerGone } from '../../../src/errors.ts';
import { normaliseAddress, SocketTransport } from '../../../src/listener/socket-transport.ts';
import { READ_HIGH_WATER_MARK } from '../../../src/listener/stream-input.ts';

const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function pair(): Promise<{ transport: SocketTransport; client: Socket; socket: Socket }> {
  const server: Server = createServer({ allowHalfOpen: true, highWaterMark: READ_HIGH_WATER_MARK });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = connect({ port: (server.address() as { port: number }).port, host: '127.0.0.1', allowHalfOpen: true });
  client.on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [Socket];
  const transport = new SocketTransport(socket);
  cleanups.push(() => {
    client.destroy();
    transport.destroy();
    server.close();
  });
  return { transport, client, socket };
}

async function readAll(transport: SocketTransport): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = transport.tryRead() ?? (await transport.read());
    if (chunk === null) return Buffer.concat(chunks);
    chunks.push(chunk);
  }
}

/** Fills the connection to a client that does not read until something stays queued. */
function fill(transport: SocketTransport, released: () => void = () => {}): number {
  let writes = 0;
  while (transport.queuedBytes === 0) {
    transport.write(Buffer.alloc(1 << 20), released);
    writes++;
  }
  return writes;
}

describe('reading', () => {
  it('waits for bytes and returns them', async () => {
    const { transport, client } = await pair();
    const reading = transport.read();
    client.write('hello');
    expect(String(await reading)).toBe('hello');
  });

  it('has nothing to read without waiting when nothing has arrived', async () => {
    const { transport } = await pair();
    expect(transport.tryRead()).toBeNull();
  });

  it('returns every byte in order and then the end of file, again and again', async () => {
    const { transport, client } = await pair();
    const sent = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
    client.end(sent);
    expect((await readAll(transport)).equals(sent)).toBe(true);
    expect(await transport.read()).toBeNull();
  });

  it('buffers one chunk at most while nobody reads', async () => {
    const { transport, client, socket } = await pair();
    for (let round = 0; round < 64; round++) await new Promise<void>((resolve) => client.write('x', () => resolve()));
    client.write(Buffer.alloc(1 << 20));
    await once(socket, 'readable');
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(socket.readableLength).toBeLessThanOrEqual(65_536);
    client.end();
    expect((await readAll(transport)).length).toBe(64 + (1 << 20));
  });

  it('still writes after the peer has half-closed', async () => {
    const { transport, client } = await pair();
    client.end();
    expect(await transport.read()).toBeNull();
    transport.write(Buffer.from('late'));
    transport.endWrite();
    expect(String((await once(client, 'data'))[0])).toBe('late');
  });

  it('rejects a pending read and later calls with PeerGone when the peer resets', async () => {
    const { transport, client } = await pair();
    const reading = transport.read();
    client.resetAndDestroy();
    await expect(reading).rejects.toBeInstanceOf(PeerGone);
    await expect(transport.read()).rejects.toBeInstanceOf(PeerGone);
    await expect(transport.drained(0)).rejects.toBeInstanceOf(PeerGone);
  });

  it('refuses a second read while one is waiting', async () => {
    const { transport } = await pair();
    void transport.read();
    await expect(transport.read()).rejects.toThrow(/two reads/);
  });
});

describe('writing', () => {
  it('delivers what was written before the half-close', async () => {
    const { transport, client } = await pair();
    const received: Buffer[] = [];
    client.on('data', (chunk: Buffer) => received.push(chunk));
    for (let index = 0; index < 100; index++) transport.write(Buffer.from(`line ${index}\n`));
    transport.endWrite();
    await once(client, 'end');
    expect(Buffer.concat(received).toString().split('\n').length).toBe(101);
  });

  it('gives memory back at once when the kernel has taken it', async () => {
    const { transport } = await pair();
    let released = 0;
    transport.write(Buffer.from('small'), () => released++);
    expect(released).toBe(1);
    expect(transport.queuedBytes).toBe(0);
  });

  it('counts queued bytes and wakes the waiter when the peer reads', async () => {
    const { transport, client } = await pair();
    fill(transport);
    expect(transport.queuedBytes).toBeGreaterThan(0);
    let drained = false;
    const waiting = transport.drained(0).then(() => {
      drained = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(drained).toBe(false);
    client.resume();
    await waiting;
    expect(transport.queuedBytes).toBe(0);
  });

  it('wakes a waiter as soon as its own mark is reached', async () => {
    const { transport, client } = await pair();
    fill(transport);
    // More than the kernel buffers of both sides hold.
    for (let index = 0; index < 32; index++) transport.write(Buffer.alloc(1 << 20));
    let empty = false;
    const last = transport.drained(0).then(() => {
      empty = true;
    });
    client.resume();
    await transport.drained(32 << 20);
    expect(empty).toBe(false);
    await last;
  });

  it('releases each write once, in order, when some were queued', async () => {
    const { transport, client } = await pair();
    const released: number[] = [];
    let writes = 0;
    const write = (): void => {
      const id = writes++;
      transport.write(Buffer.alloc(300_000), () => released.push(id));
    };
    while (transport.queuedBytes === 0) write();
    for (let index = 0; index < 5; index++) write();
    expect(released.length).toBeLessThan(writes);
    client.resume();
    await transport.drained(0);
    write();
    await transport.drained(0);
    expect(released).toEqual(Array.from({ length: writes }, (_, index) => index));
  });

  it('releases all memory once when the connection is destroyed', async () => {
    const { transport, socket } = await pair();
    let released = 0;
    const writes = fill(transport, () => released++) + 2;
    transport.write(Buffer.alloc(10), () => released++);
    transport.write(Buffer.alloc(10), () => released++);
    transport.destroy();
    await once(socket, 'close');
    expect(released).toBe(writes);
  });

  it('releases the memory of a write that comes after the end', async () => {
    const { transport } = await pair();
    let released = 0;
    transport.endWrite();
    transport.write(Buffer.from('too late'), () => released++);
    transport.destroy();
    transport.write(Buffer.from('much too late'), () => released++);
    expect(released).toBe(2);
  });

  it('rejects a drain that waits when the peer resets', async () => {
    const { transport, client } = await pair();
    fill(transport);
    const waiting = transport.drained(0);
    client.resetAndDestroy();
    await expect(waiting).rejects.toBeInstanceOf(PeerGone);
  });

  it('survives writes to a peer that is gone', async () => {
    const { transport, client, socket } = await pair();
    client.resetAndDestroy();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    transport.write(Buffer.from('a'));
    transport.write(Buffer.from('b'));
    await closed;
    await expect(transport.drained(0)).rejects.toBeInstanceOf(PeerGone);
  });
});

describe('destroying', () => {
  it('rejects what is pending with PeerGone, and may be repeated', async () => {
    const { transport } = await pair();
    const reading = transport.read();
    transport.destroy();
    transport.destroy();
    await expect(reading).rejects.toBeInstanceOf(PeerGone);
  });

  it('leaves no unhandled rejection behind when nobody looks at the promises', async () => {
    const { transport, socket } = await pair();
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    void transport.read();
    fill(transport);
    void transport.drained(0);
    transport.destroy();
    void transport.drained(0);
    await once(socket, 'close');
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });
});

describe('peer addresses', () => {
  it('names the peer of a connection', async () => {
    const { transport, client } = await pair();
    expect(transport.peer).toEqual({ address: '127.0.0.1', port: client.localPort });
  });

  it.each([
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:192.0.2.7', '192.0.2.7'],
    ['192.0.2.7', '192.0.2.7'],
    ['fe80::1%eth0', 'fe80::1'],
    ['2001:db8::ffff:1', '2001:db8::ffff:1'],
    ['', ''],
  ])('writes %s as %s', (given, expected) => {
    expect(normaliseAddress(given)).toBe(expected);
  });
});
