/** What the log says about sessions: one line at the end of each, and a budget that no peer can exceed. */

import { limitHits } from '../limit-hits.ts';
import type { Limits } from '../limits.ts';
import { monotonicMs, privateArea, type SharedArea, SharedLock } from '../shared.ts';
import type { LogFields, Logger, LogLevel, LogMethod } from './log.ts';

/** One finished session. */
export interface SessionRecord {
  /** Numeric address, '' for a unix socket. */
  peer: string;
  port: number;
  /** null before a module was chosen; likewise for user and protocol. */
  module: string | null;
  user: string | null;
  protocol: number | null;
  /** Files whose content was sent. */
  files: number;
  bytesSent: number;
  bytesReceived: number;
  /** Bytes in the files that were listed; null before the list. */
  totalSize: number | null;
  seconds: number;
  /** The part of them that was spent in the queue of the module; null when there was a place at once. */
  queueSeconds: number | null;
  /** `ok`, or the code of the error that ended it (errors.ts). */
  outcome: string;
  /** rsync exit code that the client should have ended with. */
  exit: number;
  /** The error's message, null when there was none. */
  detail: string | null;
}

/** Writes the one line of a finished session, at level info; fields that are null are left out. */
export function logSessionEnd(logger: Logger, record: SessionRecord): void {
  const fields = Object.fromEntries(Object.entries(record).filter(([, value]) => value !== null));
  const toMs = (seconds: number): number => Math.round(seconds * 1000) / 1000;
  const { seconds, queueSeconds } = record;
  const queued = queueSeconds === null ? {} : { queueSeconds: toMs(queueSeconds) };
  logger.info({ ...fields, seconds: toMs(seconds), ...queued }, 'session ended');
}

/** Cells of the shared state: when the second began, lines in it, lines held back since one was told of, and since the start. */
const CELL = { SECOND: 0, LINES: 1, SUPPRESSED: 2, SUPPRESSED_TOTAL: 3 } as const;

/** The lines per second that the sessions of all workers share (B-26b). One per worker. */
export class LogBudget {
  /** Shared memory that it needs. */
  static readonly BYTES = 8 + 8 * Object.keys(CELL).length;
  readonly #perSecond: number;
  readonly #nowMs: () => number;
  readonly #lock: SharedLock;
  readonly #cells: Float64Array;

  /** @param nowMs a clock that never goes back, the same in all workers. */
  constructor(
    limits: Pick<Limits, 'logLinesPerSecond'>,
    nowMs: () => number = monotonicMs,
    area: SharedArea = privateArea(LogBudget.BYTES),
  ) {
    this.#perSecond = limits.logLinesPerSecond;
    this.#nowMs = nowMs;
    this.#lock = new SharedLock(area);
    this.#cells = new Float64Array(area.memory, 8, Object.keys(CELL).length);
  }

  /** Lines held back since the start, of all workers. */
  get suppressedTotal(): number {
    return this.#lock.run(() => this.#cells[CELL.SUPPRESSED_TOTAL]!);
  }

  /** True when one more line may be written now; the first one after a silence says on `logger` how many were not. */
  take(logger: Logger): boolean {
    const lines = this.#lock.run(() => this.#takeOne());
    if (lines === null) return false;
    if (lines > 0) logger.warn({ lines }, 'log lines suppressed: sessions wrote more than logLinesPerSecond');
    return true;
  }

  /** Opens the lock when a dead worker holds it. */
  forget(worker: number): void {
    this.#lock.forget(worker);
  }

  /** Null when the second's lines are used up, else how many lines have been held back that nobody was told of. */
  #takeOne(): number | null {
    const cells = this.#cells;
    const now = this.#nowMs();
    if (cells[CELL.LINES] === 0 || now - cells[CELL.SECOND]! >= 1000) {
      cells[CELL.SECOND] = now;
      cells[CELL.LINES] = 0;
    }
    if (cells[CELL.LINES]! >= this.#perSecond) {
      limitHits.count('logLinesPerSecond');
      cells[CELL.SUPPRESSED]!++;
      cells[CELL.SUPPRESSED_TOTAL]!++;
      return null;
    }
    cells[CELL.LINES]!++;
    const lines = cells[CELL.SUPPRESSED]!;
    cells[CELL.SUPPRESSED] = 0;
    return lines;
  }
}

/** A session's logger. */
export interface SessionLogger extends Logger {
  /** Writes the session's last line, which the session's own budget never holds back. */
  end(record: SessionRecord): void;
}

/**
 * Makes the logger of one session: its lines count against its own budget and the shared one.
 * @param root the daemon's logger, also for reports about the shared budget.
 * @param fields go into each line (peer, session number).
 */
export function createSessionLogger(
  root: Logger,
  budget: LogBudget,
  limits: Pick<Limits, 'logLinesPerSession'>,
  fields: LogFields,
): SessionLogger {
  let lines = 0;
  let suppressed = 0;
  const allowed = (): boolean => {
    if (lines < limits.logLinesPerSession) {
      lines++;
      return budget.take(root);
    }
    limitHits.count('logLinesPerSession');
    suppressed++;
    return false;
  };
  const bound = root.child(fields);
  return {
    ...budgeted(bound, allowed),
    end: (record) => {
      if (!budget.take(root)) return;
      logSessionEnd(suppressed === 0 ? bound : bound.child({ suppressedLines: suppressed }), record);
    },
  };
}

/** `logger` with `allowed` asked before each line that its level lets through. */
function budgeted(logger: Logger, allowed: () => boolean): Logger {
  const method = (level: LogLevel): LogMethod => {
    const write = logger[level].bind(logger) as (...line: unknown[]) => void;
    return (...line: unknown[]) => {
      if (logger.isLevelEnabled(level) && allowed()) write(...line);
    };
  };
  return {
    trace: method('trace'),
    debug: method('debug'),
    info: method('info'),
    warn: method('warn'),
    error: method('error'),
    fatal: method('fatal'),
    isLevelEnabled: (level) => logger.isLevelEnabled(level),
    child: (fields) => budgeted(logger.child(fields), allowed),
  };
}
