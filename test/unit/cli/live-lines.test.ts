import { describe, expect, it } from 'vitest';
import { transferLines } from '../../../src/cli/live-lines.ts';
import { EMPTY_SNAPSHOT, type LiveSessionData } from '../../../src/observe/snapshot.ts';
import { LIVE } from '../observe/state-fixture.ts';

const linesOf = (live: readonly LiveSessionData[], rows = 24) => transferLines({ ...EMPTY_SNAPSHOT, live }, rows);
const many = (count: number) => Array.from({ length: count }, (_, id) => ({ ...LIVE, id }));

describe('transferLines', () => {
  it.each([
    ['192.0.2.7  pub  transfer      1.0 MiB/s  [##########----------]  50 % of 10.0 MiB  0:05 left', LIVE],
    [
      '192.0.2.7  pub  file list     1.0 MiB/s  [##########----------]  50 % of 10.0 MiB so far',
      { ...LIVE, phase: 'file list', etaSec: null, progress: { ...LIVE.progress!, isListComplete: false } },
    ],
    [
      '192.0.2.7  pub  login         1.0 MiB/s  5.0 MiB sent',
      { ...LIVE, phase: 'login', etaSec: null, progress: null },
    ],
    [
      'local  pub  login         1.0 MiB/s  5.0 MiB sent',
      { ...LIVE, peer: '', phase: 'login', etaSec: null, progress: null },
    ],
  ])('says "%s"', (line, session) => {
    expect(linesOf([session])).toEqual([line]);
  });

  it('keeps its columns beside somebody who waits in a queue', () => {
    const waiting = { ...LIVE, phase: 'queue, 3 ahead', isQueued: true, etaSec: null, progress: null };
    const [first, second] = linesOf([LIVE, waiting]);
    expect(first!.indexOf('1.0 MiB/s')).toBe(second!.indexOf('1.0 MiB/s'));
  });

  it('is silent about connections that have not chosen a module', () => {
    expect(linesOf([{ ...LIVE, module: null }])).toEqual([]);
  });

  it.each([
    [8, 24, 8],
    [9, 24, 8],
    [500, 24, 8],
    [500, 8, 4],
    [500, 2, 1],
  ])('of %d transfers in a window of %d rows are %d lines', (count, rows, lines) => {
    expect(linesOf(many(count), rows)).toHaveLength(lines);
  });

  it('sums up those that have no line', () => {
    expect(linesOf(many(20)).at(-1)).toBe('and 13 more, 13.0 MiB/s');
  });

  it('lets no peer drive the terminal', () => {
    const [line] = linesOf([{ ...LIVE, peer: '\x1b[2J', module: '\x07' }]);
    expect(line).toMatch(/^\\x1b\[2J {2}\\x07 {2}/);
  });
});
