/** The channel as a Transport: windows, backpressure, ends. */

import { describe, expect, it } from 'vitest';
import { PeerGone } from '../../../../src/errors.ts';
import { encodeUint32 } from '../../../../src/listener/ssh/codec.ts';
import { MSG } from '../../../../src/listener/ssh/constants.ts';
import type { Transport } from '../../../../src/wire/transport.ts';
import { type ServeOptions, serve } from './serve.ts';

/** Starts a session whose transport the test drives itself; it ends when the test calls `end`. */
async function session(window?: number, maxPacket?: number, options: ServeOptions = {}) {
  const started = Promise.withResolvers<Transport>();
  const ended = Promise.withResolvers<number>();
  const onExec = (transport: Transport) => {
    started.resolve(transport);
    return ended.promise;
  };
  const served = serve({}, { ...options, onExec });
  await served.client.startSession(window, maxPacket);
  return { ...served, transport: await started.promise, end: ended.resolve };
}

describe('writing', () => {
  it('stops at the window and goes on when it opens', async () => {
    const { client, transport } = await session(10);
    let released = 0;
    transport.write(Buffer.from('0123456789abcdef'), () => released++);
    expect(String(await client.data())).toBe('0123456789');
    expect([transport.queuedBytes, released]).toEqual([6, 0]);
    client.send(MSG.CHANNEL_WINDOW_ADJUST, ...[0, 100].map(encodeUint32));
    expect(String(await client.data())).toBe('abcdef');
    expect([transport.queuedBytes, released]).toEqual([0, 1]);
  });

  it('lets a caller wait until little is queued', async () => {
    const { client, transport } = await session(10);
    transport.write(Buffer.alloc(110));
    let isDrained = false;
    const drained = transport.drained(50).then(() => {
      isDrained = true;
    });
    client.send(MSG.CHANNEL_WINDOW_ADJUST, ...[0, 49].map(encodeUint32));
    await client.data();
    await client.data();
    expect([transport.queuedBytes, isDrained]).toEqual([51, false]);
    client.send(MSG.CHANNEL_WINDOW_ADJUST, ...[0, 1].map(encodeUint32));
    await drained;
    expect(transport.queuedBytes).toBe(50);
  });

  it('counts what the socket has not taken', async () => {
    const { ends, transport } = await session();
    ends[0].isStalled = true;
    transport.write(Buffer.alloc(1000));
    expect(transport.queuedBytes).toBeGreaterThan(1000);
    const drained = transport.drained(0);
    ends[0].release();
    await drained;
    expect(transport.queuedBytes).toBe(0);
  });

  it('keeps to the packet size of the client', async () => {
    const { client, transport } = await session(5000, 2000);
    transport.write(Buffer.alloc(5000));
    expect([(await client.data()).length, (await client.data()).length, (await client.data()).length]).toEqual([
      2000, 2000, 1000,
    ]);
  });

  it('gives memory back when the channel ends unsent', async () => {
    const { client, transport } = await session(0);
    const released = Promise.withResolvers<void>();
    transport.write(Buffer.alloc(10), released.resolve);
    client.send(MSG.CHANNEL_CLOSE, encodeUint32(0));
    await released.promise;
    await expect(transport.drained(0)).rejects.toThrow(PeerGone);
  });

  it('sends the end of file behind everything that is queued', async () => {
    const { client, transport } = await session(3);
    transport.write(Buffer.from('abcdef'));
    transport.endWrite();
    transport.write(Buffer.from('ignored'));
    expect(String(await client.data())).toBe('abc');
    client.send(MSG.CHANNEL_WINDOW_ADJUST, ...[0, 100].map(encodeUint32));
    expect(String(await client.data())).toBe('def');
    await client.expect(MSG.CHANNEL_EOF);
  });

  it.each([0xffffffff - 10, 0xffffffff - 9])('lets the window grow to 2^32 - 1, by %i from 10', async (growth) => {
    const { client, outcome, end } = await session(10);
    end(0);
    await client.expect(MSG.CHANNEL_EOF);
    client.send(MSG.CHANNEL_WINDOW_ADJUST, ...[0, growth].map(encodeUint32));
    client.send(MSG.DISCONNECT, encodeUint32(11));
    expect((await outcome).error?.code).toBe(growth + 10 > 0xffffffff ? 'protocol' : 'peer-gone');
  });
});

describe('reading', () => {
  it('gets small packets joined and large ones as they are', async () => {
    const { client, transport } = await session();
    for (const text of ['a', 'b', 'c']) client.sendData(text);
    client.sendData(Buffer.alloc(5000, 1));
    client.send(MSG.CHANNEL_EOF, encodeUint32(0));
    const chunks: Buffer[] = [];
    for (let chunk = await transport.read(); chunk !== null; chunk = await transport.read()) chunks.push(chunk);
    expect(Buffer.concat(chunks)).toEqual(Buffer.concat([Buffer.from('abc'), Buffer.alloc(5000, 1)]));
  });

  it('opens the window again when half of it has been read', async () => {
    const { client, transport } = await session(undefined, undefined, { limits: { sshWindowBytes: 1000 } });
    client.sendData(Buffer.alloc(499));
    await transport.read();
    client.sendData(Buffer.alloc(1));
    await transport.read();
    const adjust = await client.expect(MSG.CHANNEL_WINDOW_ADJUST);
    expect([adjust.uint32('channel'), adjust.uint32('bytes')]).toEqual([7, 500]);
  });

  it.each([1000, 1001])('with a window of 1000 takes 1000 bytes, given %i', async (size) => {
    const { client, transport, outcome, end } = await session(undefined, undefined, {
      limits: { sshWindowBytes: 1000 },
    });
    client.sendData(Buffer.alloc(size));
    const result = await transport.read().catch(() => null);
    end(0);
    expect(result?.length ?? 0).toBe(size > 1000 ? 0 : 1000);
    if (size > 1000) expect((await outcome).error?.message).toBe('SSH: data beyond the window');
  });

  it('ends at the end of file, and after our own', async () => {
    const first = await session();
    first.client.send(MSG.CHANNEL_EOF, encodeUint32(0));
    expect(await first.transport.read()).toBeNull();
    const second = await session();
    second.transport.endWrite();
    expect(await second.transport.read()).toBeNull();
  });

  it('fails when the connection breaks', async () => {
    const { ends, transport, end } = await session();
    const reading = transport.read();
    ends[0].destroy();
    await expect(reading).rejects.toThrow(PeerGone);
    end(10);
  });

  it('fails after destroy, and the client still gets a status', async () => {
    const { client, transport, end } = await session();
    transport.destroy();
    await expect(transport.read()).rejects.toThrow(PeerGone);
    end(12);
    const status = await client.expect(MSG.CHANNEL_REQUEST);
    status.bytes(4 + 4 + 'exit-status'.length + 1, 'fields before');
    expect(status.uint32('status')).toBe(12);
    await client.expect(MSG.CHANNEL_CLOSE);
  });

  it('takes back the window of data that nobody reads any more', async () => {
    const { client, transport } = await session(undefined, undefined, { limits: { sshWindowBytes: 1000 } });
    transport.endWrite();
    await client.expect(MSG.CHANNEL_EOF);
    client.sendData(Buffer.alloc(600));
    await client.expect(MSG.CHANNEL_WINDOW_ADJUST);
  });

  it('allows one call at a time', async () => {
    const { transport } = await session();
    void transport.read();
    await expect(transport.read()).rejects.toThrow('two reads');
  });
});
