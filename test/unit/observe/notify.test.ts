import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { descriptorSink, ServiceNotifier, watchdogIntervalMs } from '../../../src/observe/notify.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function notifier(watchdogMs: number | null) {
  const sent: string[] = [];
  return { sent, notifier: new ServiceNotifier((message) => sent.push(message), watchdogMs) };
}

describe('ServiceNotifier', () => {
  it('says READY with the first status, and a status again only when it has changed', () => {
    const { sent, notifier: manager } = notifier(null);
    let status = 'a';
    manager.ready(() => status);
    vi.advanceTimersByTime(10_000);
    status = 'b';
    vi.advanceTimersByTime(10_000);
    manager.close();
    expect(sent).toEqual(['READY=1\nSTATUS=a', 'STATUS=b']);
  });

  it('gives signs of life from READY until it is closed, while it is stopping too', () => {
    const { sent, notifier: manager } = notifier(100);
    vi.advanceTimersByTime(1000);
    manager.ready(() => 'x');
    vi.advanceTimersByTime(250);
    manager.stopping();
    vi.advanceTimersByTime(100);
    manager.close();
    vi.advanceTimersByTime(1000);
    expect(sent).toEqual(['READY=1\nSTATUS=x', 'WATCHDOG=1', 'WATCHDOG=1', 'STOPPING=1', 'WATCHDOG=1']);
  });
});

describe('watchdogIntervalMs', () => {
  it('is a third of what the manager allows', () => {
    expect(watchdogIntervalMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7' }, 7)).toBe(10_000);
    expect(watchdogIntervalMs({ WATCHDOG_USEC: '30000000' }, 7)).toBe(10_000);
  });

  it.each([{}, { WATCHDOG_USEC: '0' }, { WATCHDOG_USEC: '-1' }, { WATCHDOG_USEC: '3000', WATCHDOG_PID: '8' }])(
    'is null for %j, which asks nothing of process 7',
    (environment) => {
      expect(watchdogIntervalMs(environment, 7)).toBeNull();
    },
  );
});

describe('descriptorSink', () => {
  it('loses a message that cannot be written', () => {
    expect(() => descriptorSink(9999)('READY=1')).not.toThrow();
  });
});
