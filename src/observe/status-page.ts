/** The status page for people: one document without script, image or any other resource; cli/monitor.ts serves it. */

import type { DaemonState, Readiness } from './daemon-state.ts';
import { Html, html } from './html.ts';
import { bytesSentIn, type LiveSessionData } from './snapshot.ts';
import { STATUS_STYLE, statusStyleSource } from './status-style.ts';
import { throughputPlot } from './throughput-plot.ts';
import { countText, durationText, rateText, sizeText } from './units.ts';

/** Sessions that are shown; the daemon may have thousands, and the page is for people. */
const MAX_SESSIONS = 200;

/** Seconds after which browsers ask again. */
const REFRESH_SEC = 5;

/** For the header of this name: nothing but our own style may do anything in the page. */
export function statusPagePolicy(): string {
  return `default-src 'none'; style-src ${statusStyleSource()}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
}

const READINESS: Readonly<Record<Readiness, { word: string; look: string }>> = {
  starting: { word: 'starting', look: 'wait' },
  ready: { word: 'ready', look: 'good' },
  draining: { word: 'draining: no new clients', look: 'bad' },
};

/** The whole document. Every text of the state is escaped. */
export function statusPage(state: DaemonState): string {
  const { facts, snapshot, throughput, throughputSteps } = state;
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex"><meta http-equiv="refresh" content="${REFRESH_SEC}">
<title>gokr-rsyncd: ${snapshot.live.length} sessions</title><style>${new Html(STATUS_STYLE)}</style></head>
<body><main>
${header(state)}
${figures(state)}
<section><h2>Sessions</h2>${sessionTable(snapshot.live)}</section>
<section><h2>Throughput of the last hour</h2>${throughputPlot(throughput, throughputSteps)}</section>
<section><h2>Modules</h2>${moduleTable(state)}</section>
<div class="two">
<section><h2>Limits that fired</h2>${limitTable(state)}</section>
<section><h2>Outcomes of ended sessions</h2>${outcomeTable(state)}</section>
<section><h2>Listeners</h2>${table(
    ['Kind', 'Address'],
    facts.listeners.map(({ kind, address }) => [html`${kind}`, html`${address}`]),
  )}</section>
<section><h2>Sandbox</h2>${sandboxTable(state)}</section>
</div>
<p class="soft">Metrics for Prometheus: <a href="metrics">metrics</a>. This page asks again every ${REFRESH_SEC} seconds.</p>
</main></body></html>
`.text;
}

function header({ facts, readiness, now, uptimeSec }: DaemonState): Html {
  const { word, look } = READINESS[readiness];
  return html`<header><h1>gokr-rsyncd</h1><span class="state ${look}">${word}</span>
<span class="soft">version ${facts.version} on Node.js ${facts.nodeVersion}, up ${durationText(uptimeSec)}, at ${now.toISOString().slice(0, 19)}Z</span></header>`;
}

function figures({ snapshot, facts, rssBytes, throughput }: DaemonState): Html {
  const rate = snapshot.live.reduce((sum, { bytesPerSecond }) => sum + bytesPerSecond, 0);
  const ended = snapshot.ended.reduce((sum, { sessions }) => sum + sessions, 0);
  const lag = Math.max(0, ...snapshot.loops.map(({ lagP99Sec }) => lagP99Sec));
  const lastHour = throughput.reduce((sum, one) => sum + one, 0) / Math.max(1, throughput.length);
  const rows: [string, string][] = [
    ['live sessions', `${countText(snapshot.live.length)} of ${countText(facts.maxConnections)}`],
    ['now', rateText(rate)],
    ['mean of the last hour', rateText(lastHour)],
    ['sent since the start', sizeText(bytesSentIn(snapshot))],
    ['ended sessions', countText(ended)],
    ['refused connections', countText(snapshot.refused)],
    ['resident memory', sizeText(rssBytes)],
    ['event loop lag, 99 %', `${(lag * 1000).toFixed(1)} ms`],
  ];
  return html`<section><dl class="figures">${rows.map(([term, value]) => html`<div><dt>${term}</dt><dd>${value}</dd></div>`)}</dl></section>`;
}

/** A table whose cells carry their heading, so that a phone can show each row as a card. Right-aligned columns begin with `#`. */
function table(headings: readonly string[], rows: readonly (readonly Html[])[]): Html {
  const columns = headings.map((heading) => ({
    label: heading.replace(/^#/, ''),
    look: heading.startsWith('#') ? 'n' : '',
  }));
  const cell = (content: Html, { label, look }: { label: string; look: string }): Html =>
    html`<td class="${look}" data-label="${label}"><span>${content}</span></td>`;
  return html`<table class="cards"><thead><tr>${columns.map(({ label, look }) => html`<th scope="col" class="${look}">${label}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((content, index) => cell(content, columns[index]!))}</tr>\n`)}</tbody></table>`;
}

function sessionTable(live: readonly LiveSessionData[]): Html {
  if (live.length === 0) return html`<p class="soft">No client is connected.</p>`;
  const shown = live.slice(0, MAX_SESSIONS);
  const rest = live.length - shown.length;
  const headings = ['Peer', 'Module', 'Phase', 'Progress', '#Rate', '#Time left', '#Sent', '#Files', '#Age'];
  return html`${table(headings, shown.map(sessionRow))}${rest === 0 ? '' : html`<p class="soft">and ${countText(rest)} more</p>`}`;
}

function sessionRow(session: LiveSessionData): Html[] {
  const { peer, user, module, phase, progress, bytesPerSecond, etaSec, bytesSent, files, seconds } = session;
  const file = progress?.file == null ? '' : html`<span class="path">${progress.file}</span>`;
  return [
    html`${peer === '' ? 'local' : peer}${user === null ? '' : html` <span class="soft">as ${user}</span>`}`,
    html`${module ?? '–'}`,
    html`${phase}${file}`,
    progressBar(session),
    html`${rateText(bytesPerSecond)}`,
    html`${etaSec === null ? '–' : durationText(etaSec)}`,
    html`${sizeText(bytesSent)}`,
    html`${countText(files)}`,
    html`${durationText(seconds)}`,
  ];
}

function progressBar({ progress }: LiveSessionData): Html {
  if (progress === null || progress.entries === 0) return html`<span class="soft">–</span>`;
  const { passedBytes, listedBytes, isListComplete, entries } = progress;
  const share = listedBytes === 0 ? 0 : Math.min(1, passedBytes / listedBytes);
  const percent = `${Math.floor(share * 100)} %`;
  const soFar = isListComplete ? '' : ' so far';
  return html`<progress max="1" value="${share.toFixed(3)}" aria-label="${percent}"></progress>
<span class="soft">${percent} of ${sizeText(listedBytes)}, ${countText(entries)} entries${soFar}</span>`;
}

function moduleTable({ facts, snapshot }: DaemonState): Html {
  const rows = facts.modules.map(({ name, comment, isListed, needsLogin, maxConnections }) => {
    const totals = snapshot.modules.find(({ module }) => module === name);
    const live = snapshot.live.filter(({ module }) => module === name);
    const waiting = live.filter(({ isQueued }) => isQueued).length;
    const marks = [isListed ? '' : 'not listed', needsLogin ? 'login' : ''].filter((mark) => mark !== '').join(', ');
    return [
      html`${name}${marks === '' ? '' : html` <span class="soft">(${marks})</span>`}`,
      html`${comment}`,
      html`${countText(live.length - waiting)}${maxConnections === 0 ? '' : ` of ${countText(maxConnections)}`}${
        waiting === 0 ? '' : `, ${countText(waiting)} waiting`
      }`,
      html`${sizeText(totals?.bytesSent ?? 0)}`,
      html`${countText(totals?.files ?? 0)}`,
    ];
  });
  return table(['Module', 'Comment', '#Sessions', '#Sent', '#Files'], rows);
}

function limitTable({ limitHits }: DaemonState): Html {
  // What any slow client meets is no sign of anything.
  const fired = [...limitHits]
    .filter(([limit, hits]) => hits > 0 && limit !== 'outputBytes')
    .sort(([, a], [, b]) => b - a);
  if (fired.length === 0) return html`<p class="soft">None since the start.</p>`;
  const rows = fired.map(([limit, hits]) => [html`${limit}`, html`${countText(hits)}`]);
  return table(['Limit', '#Times'], rows);
}

function outcomeTable({ snapshot }: DaemonState): Html {
  if (snapshot.ended.length === 0) return html`<p class="soft">None since the start.</p>`;
  const rows = snapshot.ended.map(({ module, outcome, sessions }) => [
    html`${module === '' ? '–' : module}`,
    html`${outcome}`,
    html`${countText(sessions)}`,
  ]);
  return table(['Module', 'Outcome', '#Sessions'], rows);
}

function sandboxTable({ facts }: DaemonState): Html {
  const rows = facts.guarantees.map(({ name, holds, detail }) => [
    html`${name}`,
    html`<span class="${holds ? 'good' : 'bad'}">${holds ? 'holds' : 'does not hold'}</span>`,
    html`${detail}`,
  ]);
  return table(['Guarantee', 'State', 'Seen'], rows);
}
