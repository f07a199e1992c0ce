import { describe, expect, it } from 'vitest';
import { OverloadJudge, victimOf } from '../../../src/session/overload.ts';

const LIMITS = { loopLagMs: 250, loopLagForMs: 5000, heapPercent: 80, heldPercent: 60 };
const IDLE = { lagMs: 0, heapPercent: 0, heldPercent: 0 };

/** Names of what a judge finds in the same load, seen `looks` times. */
function found(load: Partial<typeof IDLE>, looks: number, judge = new OverloadJudge(LIMITS)): (string | null)[] {
  return Array.from({ length: looks }, () => judge.look({ ...IDLE, ...load }));
}

describe('the overload judge', () => {
  it.each([79, 80])('leaves everybody alone with %d percent of the heap in use', (heapPercent) => {
    expect(found({ heapPercent }, 20)).toEqual(Array(20).fill(null));
  });

  it('finds the heap full above its percentage, when the collector has had its chance', () => {
    expect(found({ heapPercent: 81 }, 4)).toEqual([null, null, 'heapPercent', null]);
  });

  it.each([59, 60])('leaves everybody alone with sessions that hold %d percent', (heldPercent) => {
    expect(found({ heldPercent }, 20)).toEqual(Array(20).fill(null));
  });

  it('finds sessions that hold more, when every worker has had a look', () => {
    expect(found({ heldPercent: 61 }, 3)).toEqual([null, 'heldPercent', null]);
  });

  it.each([249, 250])('leaves everybody alone when looks are %d ms late', (lagMs) => {
    expect(found({ lagMs }, 30)).toEqual(Array(30).fill(null));
  });

  it('finds the event loop late when it has been so for five seconds', () => {
    const looks = found({ lagMs: 251 }, 8);
    expect(looks.indexOf('loopLagMs')).toBe(6);
  });

  it('begins anew after one look that was in time', () => {
    const judge = new OverloadJudge(LIMITS);
    expect(found({ lagMs: 251 }, 6, judge)).toEqual(Array(6).fill(null));
    judge.look(IDLE);
    expect(found({ lagMs: 251 }, 6, judge)).toEqual(Array(6).fill(null));
  });
});

describe('who must go', () => {
  const MIB = 1024 * 1024;
  const sessions = [{ heldBytes: 5 * MIB }, { heldBytes: 90 * MIB }, { heldBytes: 6 * MIB }, { heldBytes: 100 }];

  it('is the session that holds the most, when memory is short', () => {
    const victims = (['heapPercent', 'heldPercent'] as const).map((met) => victimOf(sessions, met));
    expect(victims).toEqual([sessions[1], sessions[1]]);
  });

  it('is the newest one, when none holds much or the event loop is late', () => {
    const small = [{ heldBytes: 3 * MIB }, { heldBytes: 0 }];
    expect([victimOf(small, 'heapPercent'), victimOf(sessions, 'loopLagMs')]).toEqual([small[1], sessions[3]]);
  });

  it('is nobody without sessions', () => {
    expect(victimOf([], 'heapPercent')).toBeUndefined();
  });
});
