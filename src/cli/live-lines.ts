/** One line for each transfer that runs, at the end of the terminal that the daemon was started from; serve.ts shows them. */

import { isInForeground } from '../config/descriptors.ts';
import { escapeControls } from '../observe/escape.ts';
import { LiveArea } from '../observe/live-area.ts';
import type { RootLogger } from '../observe/log.ts';
import { type LiveSessionData, type LoopSnapshot, sumSnapshots } from '../observe/snapshot.ts';
import { countText, durationText, rateText, sizeText } from '../observe/units.ts';
import { wholeText } from './progress-line.ts';
import type { Terminal } from './terminal.ts';
import type { Workers } from './workers.ts';

/** Between two looks; what has not changed is not written again. */
const INTERVAL_MS = 500;

/** More transfers than this are one line together. */
const MAX_LINES = 8;

/** Lines of a small window that are left to the log. */
const LOG_LINES = 4;

const BAR_CELLS = 20;
const PEER_COLUMNS = 21;
const MODULE_COLUMNS = 16;
const PHASE_COLUMNS = 16;

/**
 * Begins to show the transfers.
 * @returns what ends it and clears the lines.
 */
export function showTransfers(
  workers: Pick<Workers, 'sessions' | 'snapshot'>,
  logger: Pick<RootLogger, 'useArea' | 'writeText'>,
  terminal: Pick<Terminal, 'columns' | 'rows'>,
): { stop(): void } {
  const area = new LiveArea(() => terminal.columns);
  logger.useArea(area);
  let isStopped = false;
  const show = async (): Promise<void> => {
    const isIdle = workers.sessions === 0 || !isInForeground();
    const lines = isIdle ? [] : transferLines(sumSnapshots(await workers.snapshot()), terminal.rows);
    if (!isStopped) logger.writeText(() => area.replace(lines));
  };
  // A worker that dies in this moment has nothing to show.
  const timer = setInterval(() => void show().catch(() => {}), INTERVAL_MS);
  return {
    stop: () => {
      isStopped = true;
      clearInterval(timer);
      logger.writeText(() => area.replace([]));
    },
  };
}

/** The lines of what runs, the longest first, at most as many as leave room for the log in a window of `rows`. */
export function transferLines(snapshot: LoopSnapshot, rows: number): string[] {
  const transfers = snapshot.live.filter(({ module }) => module !== null);
  const bound = Math.max(1, Math.min(MAX_LINES, rows - LOG_LINES));
  const shown = transfers.slice(0, transfers.length > bound ? bound - 1 : bound);
  const widths = {
    peer: widest(shown.map(peerText), PEER_COLUMNS),
    module: widest(shown.map(moduleText), MODULE_COLUMNS),
    phase: Math.max(
      'file list'.length,
      widest(
        shown.map(({ phase }) => phase),
        PHASE_COLUMNS,
      ),
    ),
  };
  const lines = shown.map((session) => transferLine(session, widths));
  if (shown.length === transfers.length) return lines;
  const rest = transfers.slice(shown.length);
  const rate = rest.reduce((sum, { bytesPerSecond }) => sum + bytesPerSecond, 0);
  return [...lines, `and ${countText(rest.length)} more, ${rateText(rate)}`];
}

function transferLine(session: LiveSessionData, widths: { peer: number; module: number; phase: number }): string {
  const { phase, bytesPerSecond, etaSec } = session;
  return [
    peerText(session).padEnd(widths.peer),
    moduleText(session).padEnd(widths.module),
    phase.padEnd(widths.phase),
    rateText(bytesPerSecond).padStart('1023.9 MiB/s'.length),
    progressText(session),
    ...(etaSec === null ? [] : [`${durationText(etaSec)} left`]),
  ].join('  ');
}

/** A bar with the share where it is known, else what was sent so far. */
function progressText({ progress, bytesSent }: LiveSessionData): string {
  if (progress === null || progress.listedBytes === 0) return `${sizeText(bytesSent)} sent`;
  const share = Math.min(1, progress.passedBytes / progress.listedBytes);
  const filled = Math.floor(share * BAR_CELLS);
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(BAR_CELLS - filled)}]`;
  const percent = String(Math.floor(share * 100)).padStart(3);
  return `${bar} ${percent} % of ${wholeText(progress)}`;
}

const peerText = ({ peer }: LiveSessionData): string => escapeControls(peer).slice(0, PEER_COLUMNS) || 'local';
const moduleText = ({ module }: LiveSessionData): string => escapeControls(module ?? '').slice(0, MODULE_COLUMNS);

function widest(texts: readonly string[], limit: number): number {
  return Math.min(limit, Math.max(0, ...texts.map(({ length }) => length)));
}
