import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TimeoutError } from '../../../src/errors.ts';
import { ByteReader } from '../../../src/wire/reader.ts';
import { Watchdog } from '../../../src/wire/watchdog.ts';
import { FrameWriter } from '../../../src/wire/writer.ts';
import { hex } from '../support/bytes.ts';
import { FakeTransport } from '../support/fake-transport.ts';

let watchdog: Watchdog;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  watchdog.stop();
  vi.useRealTimers();
});

function setUp(clocks: { outputStallMs?: number; sessionMs?: number } = {}) {
  const transport = new FakeTransport([], 'open');
  const reader = new ByteReader(transport);
  const writer = new FrameWriter(transport, 1000);
  watchdog = new Watchdog({ transport, reader, writer, outputStallMs: 300_000, sessionMs: 0, ...clocks });
  return { transport, reader, writer };
}

/** How a read ends: `pending` as long as nothing ended it. */
function track(read: Promise<unknown>): { state: () => unknown } {
  let state: unknown = 'pending';
  read.then(
    (value) => {
      state = value;
    },
    (error: unknown) => {
      state = error;
    },
  );
  return { state: () => state };
}

const seconds = (count: number) => vi.advanceTimersByTimeAsync(count * 1000);

describe('phase clocks', () => {
  it('abort the wait when the phase takes too long, although bytes trickle in', async () => {
    const { transport, reader } = setUp();
    watchdog.enter({ name: 'the greeting', totalMs: 5000, idleMs: 0 });
    const read = track(reader.readUntil(0x0a, 1000, 'greeting'));
    for (let i = 0; i < 7; i++) {
      transport.feed(Buffer.from('x'));
      await seconds(1);
    }
    expect(read.state()).toEqual(new TimeoutError('timeout while waiting for the greeting'));
    expect(watchdog.expired).toBe(read.state());
  });

  it('start over with each phase', async () => {
    setUp();
    watchdog.enter({ name: 'one', totalMs: 5000, idleMs: 0 });
    await seconds(4);
    watchdog.enter({ name: 'two', totalMs: 5000, idleMs: 5000 });
    await seconds(4);
    expect([watchdog.expired, watchdog.phaseName]).toEqual([null, 'two']);
    await seconds(3);
    expect(watchdog.expired?.message).toBe('timeout while waiting for two');
  });

  it('of zero never run out', async () => {
    setUp();
    watchdog.enter({ name: 'free', totalMs: 0, idleMs: 0 });
    await seconds(100_000);
    expect(watchdog.expired).toBeNull();
  });
});

describe('the idle clock', () => {
  it('runs out after silence in both directions', async () => {
    const { reader } = setUp();
    watchdog.enter({ name: 'transfer', totalMs: 0, idleMs: 10_000 });
    const read = track(reader.readByte('b'));
    await seconds(13);
    expect((read.state() as TimeoutError).message).toBe('io timeout after 10 seconds');
  });

  it('runs out although our keep-alives go out', async () => {
    const { reader, writer } = setUp();
    writer.startMux();
    watchdog.keepAliveEvery(3000);
    watchdog.enter({ name: 'the transfer', totalMs: 0, idleMs: 10_000 });
    const read = track(reader.readByte('b'));
    await seconds(12);
    expect(read.state()).toBeInstanceOf(TimeoutError);
  });

  it('does not run while nobody waits for the peer', async () => {
    const { reader } = setUp();
    watchdog.enter({ name: 'the transfer', totalMs: 0, idleMs: 10_000 });
    await seconds(60);
    expect(watchdog.expired).toBeNull();
    const read = track(reader.readByte('b'));
    await seconds(9);
    expect(read.state()).toBe('pending');
    await seconds(3);
    expect(read.state()).toBeInstanceOf(TimeoutError);
  });

  it('starts over with a byte from the peer', async () => {
    const { transport, reader } = setUp();
    watchdog.enter({ name: 'transfer', totalMs: 0, idleMs: 10_000 });
    for (let i = 0; i < 5; i++) {
      await seconds(8);
      transport.feed(hex('01'));
      await reader.readByte('b');
    }
    expect(watchdog.expired).toBeNull();
  });

  it('starts over with a byte that the peer takes, not with one that is only queued', async () => {
    const { transport, writer } = setUp();
    transport.holdsWrites = true;
    watchdog.enter({ name: 'transfer', totalMs: 0, idleMs: 10_000 });
    const send = () => {
      writer.putByte(1);
      writer.flush();
    };
    for (let i = 0; i < 3; i++) {
      send();
      await seconds(8);
      transport.take(1);
    }
    expect(watchdog.expired).toBeNull();
    for (let i = 0; i < 13; i++) {
      send();
      await seconds(1);
    }
    expect(watchdog.expired).toBeInstanceOf(TimeoutError);
  });
});

describe('a deadline across phases', () => {
  it('ends a session that goes from phase to phase', async () => {
    const { reader } = setUp();
    watchdog.expectWithin('the file list', 10_000, 'preTransferMs');
    const read = track(reader.readByte('b'));
    for (const name of ['one', 'two', 'three']) {
      watchdog.enter({ name, totalMs: 5000, idleMs: 0 });
      await seconds(4);
    }
    expect((read.state() as TimeoutError).message).toBe('timeout while waiting for what comes before the file list');
  });

  it('is over when what was expected has come', async () => {
    setUp();
    watchdog.expectWithin('the file list', 10_000, 'preTransferMs');
    await seconds(9);
    watchdog.arrived();
    await seconds(60);
    expect(watchdog.expired).toBeNull();
  });
});

describe('allowed silence', () => {
  it('can be shortened and given back within a phase', async () => {
    const { reader } = setUp();
    watchdog.enter({ name: 'the transfer', totalMs: 0, idleMs: 60_000 });
    const read = track(reader.readByte('b'));
    watchdog.allowSilence(10_000);
    await seconds(8);
    watchdog.allowSilence(60_000);
    await seconds(20);
    expect(read.state()).toBe('pending');
    watchdog.allowSilence(10_000);
    await seconds(2);
    expect(read.state()).toBeInstanceOf(TimeoutError);
  });
});

describe('output that nobody takes', () => {
  it('destroys the connection, so that waiting writers wake up', async () => {
    const { transport, writer } = setUp({ outputStallMs: 20_000 });
    transport.holdsWrites = true;
    writer.putBytes(Buffer.alloc(5000));
    writer.flush();
    const drain = track(writer.drain());
    await seconds(18);
    expect(transport.destroyed).toBe(false);
    await seconds(5);
    expect(transport.destroyed).toBe(true);
    expect(drain.state()).toBeInstanceOf(Error);
    expect(watchdog.expired?.message).toBe('the client takes no data');
  });

  it('does not while the peer takes some from time to time', async () => {
    const { transport, writer } = setUp({ outputStallMs: 20_000 });
    transport.holdsWrites = true;
    for (let i = 0; i < 10; i++) {
      writer.putByte(i);
      writer.flush();
    }
    for (let i = 0; i < 8; i++) {
      await seconds(15);
      transport.take(1);
    }
    expect([transport.destroyed, watchdog.expired]).toEqual([false, null]);
  });

  it('destroys the connection also after another clock ran out first', async () => {
    const { transport, writer } = setUp({ outputStallMs: 20_000, sessionMs: 5000 });
    transport.holdsWrites = true;
    writer.putBytes(Buffer.alloc(5000));
    writer.flush();
    const drain = track(writer.drain());
    await seconds(8);
    expect(watchdog.expired?.message).toBe('session too long');
    expect(transport.destroyed).toBe(false);
    await seconds(30);
    expect(transport.destroyed).toBe(true);
    expect(drain.state()).toBeInstanceOf(Error);
  });

  it('cannot be put off after a clock ran out by taking a byte now and then', async () => {
    const { transport, writer } = setUp({ outputStallMs: 20_000, sessionMs: 5000 });
    transport.holdsWrites = true;
    for (let i = 0; i < 100; i++) {
      writer.putBytes(Buffer.alloc(50));
      writer.flush();
    }
    const drain = track(writer.drain());
    for (let i = 0; i < 6; i++) {
      await seconds(10);
      transport.take(1);
    }
    expect(drain.state()).toBeInstanceOf(Error);
  });
});

describe('the session clock', () => {
  it('ends the longest session', async () => {
    const { reader } = setUp({ sessionMs: 60_000 });
    const read = track(reader.readByte('b'));
    await seconds(62);
    expect((read.state() as TimeoutError).message).toBe('session too long');
  });
});

describe('keep-alives', () => {
  it('go out after silence of ours, again and again', async () => {
    const { transport, writer } = setUp();
    writer.startMux();
    watchdog.keepAliveEvery(10_000);
    await seconds(35);
    expect(transport.sent).toEqual(hex('00000007 00000007 00000007'));
  });

  it('are never late by more than half their time, however short that is', async () => {
    const { transport, writer } = setUp();
    writer.startMux();
    watchdog.keepAliveEvery(1000);
    await vi.advanceTimersByTimeAsync(100);
    writer.putByte(1);
    writer.flush();
    const before = transport.sent.length;
    await vi.advanceTimersByTimeAsync(1500);
    expect(transport.sent.length).toBeGreaterThan(before);
  });

  it('are not needed while we write', async () => {
    const { transport, writer } = setUp();
    writer.startMux();
    watchdog.keepAliveEvery(10_000);
    for (let i = 0; i < 10; i++) {
      await seconds(5);
      writer.putByte(1);
      writer.flush();
    }
    expect(transport.sent.length).toBe(50);
  });

  it('wait for the multiplexed phase and for a peer that reads', async () => {
    const { transport, writer } = setUp();
    watchdog.keepAliveEvery(10_000);
    await seconds(15);
    expect(transport.writeSizes).toEqual([]);
    writer.startMux();
    transport.holdsWrites = true;
    writer.putByte(1);
    writer.flush();
    await seconds(60);
    expect(transport.writeSizes).toEqual([5]);
  });

  it('end with the watchdog', async () => {
    const { transport, writer } = setUp();
    writer.startMux();
    watchdog.keepAliveEvery(10_000);
    watchdog.stop();
    await seconds(100);
    expect(transport.writeSizes).toEqual([]);
  });
});
