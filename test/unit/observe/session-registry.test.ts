/** Counting sessions: rates, sums over event loops, and counters that never fall. */
import { describe, expect, it } from 'vitest';
import { type LiveSession, SessionRegistry, type SessionView } from '../../../src/observe/session-registry.ts';
import { bytesSentIn, sumSnapshots } from '../../../src/observe/snapshot.ts';
import { Throughput } from '../../../src/observe/throughput.ts';

const RECORD = {
  ...{ peer: '192.0.2.1', port: 1, module: 'pub', user: null, protocol: 32, files: 1, bytesSent: 0, bytesReceived: 0 },
  ...{ seconds: 1, queueSeconds: null, totalSize: 0, outcome: 'ok', exit: 0, detail: null },
};
const PROGRESS = { entries: 2, listedBytes: 4000, passedBytes: 0, isListComplete: true, listMs: 5, file: 'a' };

class Played implements LiveSession {
  now: SessionView = {
    ...{ record: RECORD, phase: 'the transfer', ahead: null, seconds: 1, bytesSent: 0, bytesReceived: 0 },
    progress: PROGRESS,
  };
  view(): SessionView {
    return this.now;
  }
}

describe('a session registry', () => {
  it('measures the rate of a session and foresees its end', () => {
    let clock = 0;
    const registry = new SessionRegistry(() => clock);
    const session = new Played();
    registry.begin(session);
    clock = 2000;
    session.now = { ...session.now, bytesSent: 1000, progress: { ...PROGRESS, passedBytes: 2000 } };
    expect(registry.snapshot().live[0]).toMatchObject({ bytesPerSecond: 500, etaSec: 2, phase: 'transfer' });
    clock = 2100;
    session.now = { ...session.now, bytesSent: 100_000 };
    expect(registry.snapshot().live[0]!.bytesPerSecond).toBe(500);
  });

  it.each([
    ['while directories are still to be listed', { isListComplete: false }],
    ['when nothing moves', { passedBytes: 0 }],
    ['at the end', { passedBytes: 4000 }],
  ])('foresees no end %s', (_, progress) => {
    let clock = 0;
    const registry = new SessionRegistry(() => clock);
    const session = new Played();
    registry.begin(session);
    clock = 2000;
    session.now = { ...session.now, progress: { ...PROGRESS, passedBytes: 2000, ...progress } };
    expect(registry.snapshot().live[0]!.etaSec).toBeNull();
  });

  it('never lets the bytes of a module fall, from the first byte of a session to its end', () => {
    const registry = new SessionRegistry();
    const session = new Played();
    registry.begin(session);
    const sent: number[] = [bytesSentIn(registry.snapshot())];
    session.now = { ...session.now, bytesSent: 700, record: { ...RECORD, module: null as never } };
    sent.push(bytesSentIn(registry.snapshot()));
    session.now = { ...session.now, record: RECORD };
    sent.push(bytesSentIn(registry.snapshot()));
    registry.end(session, { ...RECORD, bytesSent: 900 });
    sent.push(bytesSentIn(registry.snapshot()));
    expect(sent).toEqual([0, 0, 700, 900]);
  });

  it('adds up loops by module, outcome and phase, and survives a trip between threads', () => {
    const loops = [1, 2].map((files) => {
      const registry = new SessionRegistry();
      const session = new Played();
      registry.addCounter('file_list_cache_hits', () => files);
      registry.begin(session);
      registry.phaseEnded('the login', 3000);
      registry.end(session, { ...RECORD, files, bytesSent: 10 });
      registry.connectionRefused();
      return structuredClone(registry.snapshot());
    });
    const sum = sumSnapshots(loops);
    expect(sum).toMatchObject({
      ended: [{ module: 'pub', outcome: 'ok', sessions: 2 }],
      modules: [{ module: 'pub', files: 3, bytesSent: 20 }],
      counters: [{ name: 'file_list_cache_hits', value: 3 }],
      refused: 2,
    });
    expect(sum.phases).toMatchObject([{ phase: 'login', histogram: { sumSec: 6, count: 2 } }]);
  });

  it('calls the transfer a file list while no file was asked for', () => {
    const registry = new SessionRegistry();
    const session = new Played();
    session.now = { ...session.now, progress: { ...PROGRESS, isListComplete: false, file: null } };
    registry.begin(session);
    expect(registry.snapshot().live[0]!.phase).toBe('file list');
  });
});

describe('throughput', () => {
  it('shows finished steps only, with silence in between as zero', () => {
    const throughput = new Throughput(100, 0);
    throughput.sample(1600, 14_000);
    expect(Math.max(...throughput.bytesPerSecond)).toBe(0);
    throughput.sample(1600, 46_000);
    expect(throughput.bytesPerSecond.slice(-4)).toEqual([0, 100, 0, 0]);
    expect(throughput.steps).toBe(3);
  });

  it('forgets what is older than an hour', () => {
    const throughput = new Throughput(0, 0);
    throughput.sample(1500, 1000);
    throughput.sample(1500, 3_700_000);
    expect(Math.max(...throughput.bytesPerSecond)).toBe(0);
    expect(throughput.steps).toBe(239);
  });

  it('takes a counter that starts anew for silence', () => {
    const throughput = new Throughput(1000, 0);
    throughput.sample(0, 1000);
    throughput.sample(1150, 2000);
    throughput.sample(1150, 15_000);
    expect(throughput.bytesPerSecond.at(-1)).toBe(10);
  });
});
