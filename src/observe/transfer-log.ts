/** The transfer log: one event for each file that was sent, or for a share of them, and never more than the log can take. */

import { limitHits } from '../limit-hits.ts';
import type { Limits } from '../limits.ts';
import { monotonicMs } from '../shared.ts';
import { escapeControls } from './escape.ts';
import type { LogFields, Logger } from './log.ts';

/** What is logged of a module's transfers: nothing but failures, each session, or each file as well. */
export type LogTransfers = 'off' | 'session' | 'file';

/** The message of an event; text-format.ts knows it. */
export const FILE_SENT = 'file sent';

/** A file whose content went out. */
export interface FileEvent {
  /** Length of the file. */
  readonly sizeBytes: number;
  /** What sending it cost. */
  readonly wireBytes: number;
  /** From the module root. Called only for files that are logged. */
  path(): Buffer;
}

/** One per event loop. */
export class TransferLog {
  readonly #perSecond: number;
  readonly #now: () => number;
  readonly #files = new Map<string, number>();
  #secondStartedMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #suppressed = 0;

  /** @param now milliseconds of a clock that never goes back. */
  constructor(limits: Pick<Limits, 'logFilesPerSecond'>, now: () => number = monotonicMs) {
    this.#perSecond = limits.logFilesPerSecond;
    this.#now = now;
  }

  /**
   * Writes the event of one file, unless sampling or the bound leaves it out.
   * @param fields of the session.
   * @param share of the module's files that are logged, 0 to 1; they are spread evenly.
   */
  fileSent(logger: Logger, fields: LogFields & { readonly module: string }, share: number, file: FileEvent): void {
    if (!this.#isSampled(fields.module, share) || !logger.isLevelEnabled('info') || !this.#take(logger)) return;
    const path = escapeControls(file.path().toString());
    logger.info({ ...fields, file: path, size: file.sizeBytes, sent: file.wireBytes }, FILE_SENT);
  }

  #isSampled(module: string, share: number): boolean {
    if (share >= 1) return true;
    const before = this.#files.get(module) ?? 0;
    this.#files.set(module, before + 1);
    return Math.floor((before + 1) * share) > Math.floor(before * share);
  }

  /** SECURITY: a client that asks for a million empty files must not fill the disk that the log is on (B-26b). */
  #take(logger: Logger): boolean {
    const now = this.#now();
    if (now - this.#secondStartedMs >= 1000) {
      this.#secondStartedMs = now;
      this.#lines = 0;
    }
    if (this.#lines >= this.#perSecond) {
      limitHits.count('logFilesPerSecond');
      this.#suppressed++;
      return false;
    }
    this.#lines++;
    if (this.#suppressed > 0) {
      const files = this.#suppressed;
      this.#suppressed = 0;
      logger.warn({ files }, 'files not logged: more than logFilesPerSecond were sent');
    }
    return true;
  }
}
