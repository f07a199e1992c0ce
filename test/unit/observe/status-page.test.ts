/** The status page as text: nothing of a peer becomes markup, and nothing is loaded from elsewhere. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { DaemonState } from '../../../src/observe/daemon-state.ts';
import { statusPage, statusPagePolicy } from '../../../src/observe/status-page.ts';
import { countText, durationText, sizeText } from '../../../src/observe/units.ts';
import { LIVE, stateWith } from './state-fixture.ts';

const EVIL = `<img src=x onerror="alert('1')">&`;

const withLive = (...live: DaemonState['snapshot']['live']): DaemonState => {
  const state = stateWith();
  return { ...state, snapshot: { ...state.snapshot, live } };
};

describe('the status page', () => {
  it('shows a running session with its progress, rate and time left', () => {
    const page = statusPage(stateWith());
    expect(page).toContain('<span class="path">dir/file</span>');
    expect(page).toContain('<progress max="1" value="0.500" aria-label="50 %">');
    expect(page).toContain('50 % of 10.0 MiB, 1,234 entries');
    for (const text of ['192.0.2.7', 'alice', '1.0 MiB/s', '0:05', '1:15']) expect(page).toContain(text);
  });

  it('escapes every text of a peer, a file and the configuration', () => {
    const state = withLive({
      ...LIVE,
      ...{ peer: EVIL, module: EVIL, user: EVIL, phase: EVIL },
      progress: { ...LIVE.progress!, file: EVIL },
    });
    const page = statusPage({
      ...state,
      facts: {
        ...state.facts,
        ...{ version: EVIL, nodeVersion: EVIL },
        modules: [{ ...state.facts.modules[0]!, name: EVIL, comment: EVIL }],
        listeners: [{ kind: EVIL, address: EVIL }],
        guarantees: [{ name: EVIL, holds: false, detail: EVIL }],
      },
      snapshot: { ...state.snapshot, ended: [{ module: EVIL, outcome: EVIL, sessions: 1 }] },
      limitHits: new Map([[EVIL, 1]]),
    });
    expect(page).not.toContain('<img');
    expect(page.split('&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;')).toHaveLength(17);
  });

  it('loads nothing, runs nothing, and its policy allows exactly its own style', () => {
    const page = statusPage(stateWith());
    expect(page).not.toMatch(/<script|\son\w+=|\sstyle=|https?:|url\(|@import|\ssrc=/);
    const style = /<style>([\s\S]*)<\/style>/.exec(page)![1]!;
    const hash = createHash('sha256').update(style).digest('base64');
    expect(statusPagePolicy()).toContain(`default-src 'none'; style-src 'sha256-${hash}';`);
  });

  it('says what it cannot foresee, and when nobody is there', () => {
    expect(statusPage(withLive())).toContain('No client is connected.');
    const early = statusPage(withLive({ ...LIVE, module: null, progress: null, etaSec: null }));
    expect(early).not.toContain('<progress');
    const listing = { ...LIVE.progress!, isListComplete: false };
    expect(statusPage(withLive({ ...LIVE, progress: listing }))).toContain('entries so far');
  });

  it('names limits that say something, not the wait for a slow client', () => {
    const page = statusPage({
      ...stateWith(),
      limitHits: new Map([
        ['outputBytes', 51],
        ['entries', 2],
        ['depth', 0],
      ]),
    });
    expect(page).toContain('<span>entries</span>');
    for (const other of ['outputBytes', 'depth']) expect(page).not.toContain(other);
  });

  it('shows a bounded number of sessions', () => {
    const page = statusPage(withLive(...new Array<typeof LIVE>(1000).fill(LIVE)));
    expect(page.match(/<progress/g)).toHaveLength(200);
    expect(page).toContain('and 800 more');
  });

  it.each([
    ['starting', 'starting'],
    ['draining', 'draining: no new clients'],
  ] as const)('says when the daemon is %s', (readiness, text) => {
    expect(statusPage(stateWith({ readiness }))).toContain(text);
  });

  it('draws no plot while there is nothing to draw', () => {
    expect(statusPage(stateWith({ throughput: [0, 0] }))).toContain('Nothing was sent in the last hour.');
    expect(statusPage(stateWith())).toContain('peak 1.0 MiB/s');
  });
});

describe('units', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [5.5 * 1024 ** 4, '5.5 TiB'],
  ])('show %d bytes as %s', (bytes, text) => {
    expect(sizeText(bytes)).toBe(text);
  });

  it.each([
    [0, '0:00'],
    [59.6, '1:00'],
    [3723, '1:02:03'],
    [3 * 86_400 + 4 * 3600 + 300, '3 d 04:05'],
  ])('show %d seconds as %s', (seconds, text) => {
    expect(durationText(seconds)).toBe(text);
  });

  it('group digits', () => {
    expect([999, 1000, 1234567].map(countText)).toEqual(['999', '1,000', '1,234,567']);
  });
});
