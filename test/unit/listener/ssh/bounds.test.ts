/** Clocks and queues of the SSH listener: rates, penalties, turns, memory. */

import { describe, expect, it } from 'vitest';
import { LimitError } from '../../../../src/errors.ts';
import { InputQueue } from '../../../../src/listener/ssh/input-queue.ts';
import { KexGate } from '../../../../src/listener/ssh/kex-gate.ts';
import { MessageRate } from '../../../../src/listener/ssh/message-rate.ts';
import { OutputQueue } from '../../../../src/listener/ssh/output-queue.ts';
import { Penalties } from '../../../../src/listener/ssh/penalties.ts';
import { RekeyPolicy } from '../../../../src/listener/ssh/rekey.ts';

/** A clock that the test moves. */
function clock() {
  const time = { ms: 1000, now: () => time.ms };
  return time;
}

describe('MessageRate', () => {
  it('lets the bound through, not one more, and starts again after a minute', () => {
    const time = clock();
    const rate = new MessageRate({ sshMessagesPerMinute: 3 }, time.now);
    for (let i = 0; i < 3; i++) rate.count();
    time.ms += 59_999;
    expect(() => rate.count()).toThrow(LimitError);
    time.ms += 1;
    expect(() => rate.count()).not.toThrow();
  });
});

describe('RekeyPolicy', () => {
  const limits = { sshRekeyBytes: 1000, sshRekeyMs: 60_000, sshPeerRekeyBytes: 100, sshPeerRekeyMs: 5000 };

  it.each([
    [999, 59_999, false],
    [1000, 0, true],
    [0, 60_000, true],
  ])('after %i bytes and %i ms a change is due: %j', (bytes, ms, isDue) => {
    const time = clock();
    const policy = new RekeyPolicy(limits, time.now);
    time.ms += ms;
    expect(policy.isDue(bytes)).toBe(isDue);
  });

  it('counts the time from the last change', () => {
    const time = clock();
    const policy = new RekeyPolicy(limits, time.now);
    time.ms += 60_000;
    policy.reset();
    expect(policy.isDue(0)).toBe(false);
  });

  it.each([
    [99, 4999, false],
    [100, 0, true],
    [0, 5000, true],
  ])('after %i bytes and %i ms the client may change again: %j', (bytes, ms, isAllowed) => {
    const time = clock();
    const policy = new RekeyPolicy(limits, time.now);
    policy.countPeer(0);
    time.ms += ms;
    if (isAllowed) expect(() => policy.countPeer(bytes)).not.toThrow();
    else expect(() => policy.countPeer(bytes)).toThrow(LimitError);
  });
});

describe('Penalties', () => {
  const limits = { sshPenaltyMs: 600_000 };

  it('refuse an address from the threshold on, until they have run off', () => {
    const time = clock();
    const penalties = new Penalties(limits, time.now);
    penalties.add('192.0.2.1', 'stalled');
    expect(penalties.refuses('192.0.2.1')).toBe(false);
    penalties.add('192.0.2.1', 'refused');
    expect(penalties.refuses('192.0.2.1')).toBe(true);
    expect(penalties.refuses('192.0.2.2')).toBe(false);
    time.ms += 1;
    expect(penalties.refuses('192.0.2.1')).toBe(false);
  });

  it('add up to ten minutes at most', () => {
    const time = clock();
    const penalties = new Penalties(limits, time.now);
    for (let i = 0; i < 100; i++) penalties.add('192.0.2.1', 'misbehaved');
    time.ms += 600_000 - 15_000;
    expect(penalties.refuses('192.0.2.1')).toBe(true);
    time.ms += 1;
    expect(penalties.refuses('192.0.2.1')).toBe(false);
  });

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff::9', true],
    ['2001:db8:1:2:3:4:5:6', '2001:DB8:1:2::', true],
    ['2001:db8::1', '2001:db8:0:0:1::', true],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['::1.2.3.4', '1.2.3.4', false],
  ])('hold %s and %s for the same network: %j', (first, second, isSame) => {
    const penalties = new Penalties(limits, clock().now);
    penalties.add(first, 'misbehaved');
    expect(penalties.refuses(second)).toBe(isSame);
  });

  it.each(['127.0.0.1', '127.9.9.9', '::1', ''])('spare %j', (address) => {
    const penalties = new Penalties(limits, clock().now);
    penalties.add(address, 'misbehaved');
    expect(penalties.refuses(address)).toBe(false);
  });

  it('forget old addresses, not new ones, when there are too many', () => {
    const time = clock();
    const penalties = new Penalties(limits, time.now);
    penalties.add('192.0.2.1', 'misbehaved');
    for (let i = 0; i < 10; i++) {
      time.ms += 1;
      for (let j = 0; j < 65_536; j++) penalties.add(`10.${i}.${j >> 8}.${j & 255}`, 'misbehaved');
    }
    expect([penalties.refuses('192.0.2.1'), penalties.refuses('10.9.255.255')]).toEqual([false, true]);
  });
});

describe('KexGate', () => {
  it("lets a second's worth through at once and the rest in the order of arrival", async () => {
    const gate = new KexGate({ sshKexPerSecond: 50, sshKexWaiting: 10 });
    const order: number[] = [];
    await Promise.all(Array.from({ length: 53 }, async (_, i) => gate.enter().then(() => order.push(i))));
    expect(order).toEqual(Array.from({ length: 53 }, (_, i) => i));
  });

  it.each([9, 10, 11])('CVE-2002-20001: lets 10 wait, given %i', async (count) => {
    const gate = new KexGate({ sshKexPerSecond: 100, sshKexWaiting: 10 });
    await Promise.all(Array.from({ length: 100 }, () => gate.enter()));
    const results = await Promise.allSettled(Array.from({ length: count }, () => gate.enter()));
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(Math.max(0, count - 10));
  });
});

describe('InputQueue', () => {
  it('joins small pieces and keeps their order with large ones', () => {
    const queue = new InputQueue();
    const pieces = [1, 2, 5000, 3, 4095, 4096, 40_000, 7].map((length, i) => Buffer.alloc(length, i));
    for (const piece of pieces) queue.push(piece);
    expect(queue.bytes).toBe(Buffer.concat(pieces).length);
    const chunks: Buffer[] = [];
    for (let chunk = queue.shift(); chunk !== null; chunk = queue.shift()) chunks.push(chunk);
    expect(Buffer.concat(chunks)).toEqual(Buffer.concat(pieces));
    expect(queue.bytes).toBe(0);
  });

  it('holds a window of single bytes in a few buffers', () => {
    const queue = new InputQueue();
    for (let i = 0; i < 100_000; i++) queue.push(Buffer.of(i & 255));
    let chunks = 0;
    while (queue.shift() !== null) chunks++;
    expect(chunks).toBe(Math.ceil(100_000 / 16_384));
  });
});

describe('OutputQueue', () => {
  it('gives each piece back after its last byte, in order', () => {
    const queue = new OutputQueue();
    const events: string[] = [];
    queue.push(Buffer.from('abc'), () => events.push('first'));
    queue.push(Buffer.from('de'), () => events.push('second'));
    const send = (part: Uint8Array) => events.push(Buffer.from(part).toString());
    expect([queue.take(2, send), queue.take(9, send), queue.take(9, send), queue.take(9, send)]).toEqual([2, 1, 2, 0]);
    expect(events).toEqual(['ab', 'c', 'first', 'de', 'second']);
  });

  it('gives everything back when it is cleared', () => {
    const queue = new OutputQueue();
    let released = 0;
    for (let i = 0; i < 3; i++) queue.push(Buffer.alloc(5), () => released++);
    queue.clear();
    expect([queue.bytes, released]).toEqual([0, 3]);
  });
});
