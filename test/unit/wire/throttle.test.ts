import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PeerGone } from '../../../src/errors.ts';
import { ThrottledTransport } from '../../../src/wire/throttle.ts';
import { FakeTransport } from '../support/fake-transport.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function throttled(bytesPerSecond: number): { inner: FakeTransport; transport: ThrottledTransport } {
  const inner = new FakeTransport([Buffer.from('in')], 'open');
  const transport = new ThrottledTransport(inner);
  transport.limitTo(bytesPerSecond);
  return { inner, transport };
}

describe('a transport without a limit', () => {
  it('passes writes and the end of writing through', () => {
    const inner = new FakeTransport();
    const transport = new ThrottledTransport(inner);
    let released = 0;
    transport.write(Buffer.alloc(100_000), () => released++);
    transport.endWrite();
    expect([inner.writeSizes, released, inner.writeEnded]).toEqual([[100_000], 1, true]);
  });
});

describe('a throttled transport', () => {
  it('lets no more out than its rate, and all of it in order', async () => {
    const { inner, transport } = throttled(10_000);
    const bytes = Buffer.from(Uint8Array.from({ length: 30_000 }, (_, i) => i % 251));
    transport.write(bytes.subarray(0, 20_000));
    transport.write(bytes.subarray(20_000));
    await vi.advanceTimersByTimeAsync(1000);
    expect(inner.sent.length).toBeGreaterThan(9000);
    expect(inner.sent.length).toBeLessThanOrEqual(10_000 + 512);
    await vi.advanceTimersByTimeAsync(2500);
    expect(inner.sent.equals(bytes)).toBe(true);
  });

  it('writes at least 512 bytes at a time however slow it is', async () => {
    const { inner, transport } = throttled(100);
    transport.write(Buffer.alloc(1100));
    await vi.advanceTimersByTimeAsync(20_000);
    expect(inner.writeSizes).toEqual([512, 512, 76]);
  });

  it('releases memory once, after its last byte', async () => {
    const { transport } = throttled(1000);
    const released: string[] = [];
    transport.write(Buffer.alloc(1000), () => released.push('first'));
    transport.write(Buffer.alloc(10), () => released.push('second'));
    expect(released).toEqual([]);
    await vi.advanceTimersByTimeAsync(3000);
    expect(released).toEqual(['first', 'second']);
  });

  it('counts what waits here and what waits below', () => {
    const { inner, transport } = throttled(1000);
    inner.holdsWrites = true;
    transport.write(Buffer.alloc(2000));
    expect(transport.queuedBytes).toBe(2000);
    expect(inner.queuedBytes).toBe(512);
  });

  it('is drained when little enough waits', async () => {
    const { transport } = throttled(1000);
    transport.write(Buffer.alloc(3000));
    let drained = false;
    void transport.drained(1000).then(() => {
      drained = true;
    });
    await vi.advanceTimersByTimeAsync(1000);
    expect(drained).toBe(false);
    await vi.advanceTimersByTimeAsync(1500);
    expect(drained).toBe(true);
  });

  it('half-closes after the last byte, or at once when nothing waits', async () => {
    const { inner, transport } = throttled(1000);
    transport.write(Buffer.alloc(1500));
    transport.endWrite();
    expect(inner.writeEnded).toBe(false);
    await vi.advanceTimersByTimeAsync(2000);
    expect([inner.writeEnded, inner.sent.length]).toEqual([true, 1500]);
    const idle = throttled(1000);
    idle.transport.endWrite();
    expect(idle.inner.writeEnded).toBe(true);
  });

  it('reads at full speed', async () => {
    const { inner, transport } = throttled(1);
    expect(String(transport.tryRead())).toBe('in');
    inner.feed(Buffer.from('more'));
    expect(String(await transport.read())).toBe('more');
    expect(transport.peer).toBe(inner.peer);
  });
});

describe('destroying a throttled transport', () => {
  it('releases all memory and wakes who waits for it to drain', async () => {
    const { inner, transport } = throttled(1000);
    let released = 0;
    for (let i = 0; i < 3; i++) transport.write(Buffer.alloc(1000), () => released++);
    const waiting = transport.drained(0);
    transport.destroy();
    await expect(waiting).rejects.toThrow(PeerGone);
    expect([released, inner.destroyed]).toEqual([3, true]);
  });

  it('leaves no later write waiting for ever', async () => {
    const { transport } = throttled(1000);
    transport.write(Buffer.alloc(3000));
    transport.destroy();
    let released = 0;
    transport.write(Buffer.alloc(3000), () => released++);
    const waiting = transport.drained(0).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await Promise.race([waiting, 'still waiting'])).toBeInstanceOf(PeerGone);
    expect(released).toBe(1);
  });
});
