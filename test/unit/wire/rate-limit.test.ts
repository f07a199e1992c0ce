import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RateLimit } from '../../../src/wire/rate-limit.ts';
import { ThrottledTransport } from '../../../src/wire/throttle.ts';
import { FakeTransport } from '../support/fake-transport.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function sharing(limits: readonly RateLimit[]): { inner: FakeTransport; transport: ThrottledTransport } {
  const inner = new FakeTransport();
  const transport = new ThrottledTransport(inner);
  for (const limit of limits) transport.shareLimit(limit);
  return { inner, transport };
}

describe('a rate limit', () => {
  it('lets the first booking go at once and each further one behind those before it', () => {
    const limit = new RateLimit(1000);
    expect([limit.book(500), limit.book(250), limit.book(1)]).toEqual([0, 500, 750]);
  });

  it('forgets the time in which nobody booked', () => {
    const limit = new RateLimit(1000);
    limit.book(500);
    vi.advanceTimersByTime(60_000);
    expect([limit.book(500), limit.book(500)]).toEqual([0, 500]);
  });

  it('has turns of a fiftieth of a second, of 512 bytes at least', () => {
    expect([1, 25_600, 1_000_000].map((rate) => new RateLimit(rate).turnBytes)).toEqual([512, 512, 20_000]);
  });

  it('counts in the memory that it is given', () => {
    const memory = new SharedArrayBuffer(2 * RateLimit.BYTES);
    const here = new RateLimit(1000, memory, RateLimit.BYTES);
    const there = new RateLimit(1000, memory, RateLimit.BYTES);
    const other = new RateLimit(1000, memory, 0);
    here.book(500);
    expect([there.book(1), other.book(1)]).toEqual([500, 0]);
  });
});

describe('transports with one limit', () => {
  it('send no more together than it allows, and each as much as the other', async () => {
    const limit = new RateLimit(100_000);
    const [first, second] = [sharing([limit]), sharing([limit])];
    for (const { transport } of [first, second]) transport.write(Buffer.alloc(200_000));
    await vi.advanceTimersByTimeAsync(2000);
    const sent = [first, second].map(({ inner }) => inner.sent.length);
    const turn = limit.turnBytes;
    expect(sent[0]! + sent[1]!).toBeLessThanOrEqual(200_000 + 2 * turn);
    expect(Math.min(...sent)).toBeGreaterThanOrEqual(95_000);
  });

  it('leave all of it to the last one', async () => {
    const limit = new RateLimit(100_000);
    const [gone, left] = [sharing([limit]), sharing([limit])];
    for (const { transport } of [gone, left]) transport.write(Buffer.alloc(200_000));
    gone.transport.destroy();
    await vi.advanceTimersByTimeAsync(1000);
    expect(left.inner.sent.length).toBeGreaterThanOrEqual(95_000);
  });

  it('obey the slowest of several', async () => {
    const { inner, transport } = sharing([new RateLimit(1_000_000), new RateLimit(10_000)]);
    transport.limitTo(500_000);
    transport.write(Buffer.alloc(100_000));
    await vi.advanceTimersByTimeAsync(2000);
    expect(inner.sent.length).toBeGreaterThanOrEqual(19_000);
    expect(inner.sent.length).toBeLessThanOrEqual(20_000 + 512);
  });

  it('send everything, in order, when a write comes out of the release of another', async () => {
    const { inner, transport } = sharing([new RateLimit(10_000)]);
    transport.write(Buffer.from('first '), () => transport.write(Buffer.from('second ')));
    transport.write(Buffer.from('third '));
    await vi.advanceTimersByTimeAsync(1000);
    expect([String(inner.sent), transport.queuedBytes]).toEqual(['first second third ', 0]);
  });
});
