/** How far the client of --once is, as one line of a terminal that is written again and again; once.ts shows it. */

import type { LiveSessionData } from '../observe/snapshot.ts';
import { countText, durationText, rateText, sizeText } from '../observe/units.ts';
import { monotonicMs } from '../shared.ts';

const INTERVAL_MS = 500;

/** To the line's start, and nothing of the line before. */
const START_OF_LINE = '\r\x1b[K';

/** What is shown of a session. */
export type Progress = Pick<
  LiveSessionData,
  'files' | 'bytesSent' | 'bytesPerSecond' | 'seconds' | 'etaSec' | 'progress'
>;

/** What the line needs of standard error. */
interface Terminal {
  write(text: string): unknown;
}

/**
 * Begins to show progress.
 * @param progress null while nobody is served.
 * @returns what ends it, with the last figures in a line of their own.
 */
export function showProgress(progress: () => Progress | null, terminal: Terminal): { stop(): void } {
  const startedMs = monotonicMs();
  const show = (end: string): void => {
    terminal.write(`${START_OF_LINE}${progressText(progress(), (monotonicMs() - startedMs) / 1000)}${end}`);
  };
  show('');
  const timer = setInterval(show, INTERVAL_MS, '');
  return {
    stop: () => {
      clearInterval(timer);
      show('\n');
    },
  };
}

/** `12 files, 1.2 GiB sent, 50 % of 2.4 GiB, 110.0 MiB/s, 0:11 left`; while nobody is there, how long we have waited. */
export function progressText(session: Progress | null, waitedSec: number): string {
  if (session === null) return `waiting for a client, ${durationText(waitedSec)}`;
  const { files, bytesSent, bytesPerSecond, etaSec, progress } = session;
  const parts = [`${countText(files)} ${files === 1 ? 'file' : 'files'}`, `${sizeText(bytesSent)} sent`];
  if (progress !== null && progress.listedBytes > 0) {
    const percent = Math.floor((100 * progress.passedBytes) / progress.listedBytes);
    parts.push(`${percent} % of ${wholeText(progress)}`);
  }
  parts.push(rateText(bytesPerSecond));
  if (etaSec !== null) parts.push(`${durationText(etaSec)} left`);
  return parts.join(', ');
}

/** What all files together come to: until every directory is listed, that only grows. */
export function wholeText({ listedBytes, isListComplete }: NonNullable<Progress['progress']>): string {
  return `${sizeText(listedBytes)}${isListComplete ? '' : ' so far'}`;
}
