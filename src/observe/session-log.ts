/** What the log says about sessions: one line at the end of each, and a budget that no peer can exceed. */

import { limitHits } from '../limit-hits.ts';
import type { Limits } from '../limits.ts';
import { monotonicMs, privateArea, type SharedArea, SharedLock } from '../shared.ts';
import type { LogFields, Logger, LogLevel } from './log.ts';

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
  const fields: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(record)) if (value !== null) fields[key] = value;
  const toMs = (seconds: number): number => Math.round(seconds * 1000) / 1000;
  const { seconds, queueSeconds } = record;
  fields.seconds = toMs(seconds);
  if (queueSeconds !== null) fields.queueSeconds = toMs(queueSeconds);
  logger.info(fields, 'session ended');
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
  fields: LogFields | null = null,
): SessionLogger {
  return new LastLineLogger(fields === null ? root : root.child(fields), new OwnBudget(root, budget, limits));
}

/** What one session may write. */
class OwnBudget {
  readonly #root: Logger;
  readonly #shared: LogBudget;
  readonly #perSession: number;
  #lines = 0;
  /** Lines held back. */
  suppressed = 0;

  constructor(root: Logger, shared: LogBudget, limits: Pick<Limits, 'logLinesPerSession'>) {
    this.#root = root;
    this.#shared = shared;
    this.#perSession = limits.logLinesPerSession;
  }

  take(): boolean {
    if (this.#lines < this.#perSession) {
      this.#lines++;
      return this.takeLast();
    }
    limitHits.count('logLinesPerSession');
    this.suppressed++;
    return false;
  }

  /** For the line that only the shared budget holds back. */
  takeLast(): boolean {
    return this.#shared.take(this.#root);
  }
}

type Line = [fields: LogFields, message?: string | undefined] | [message: string];

/** A logger whose budget is asked before each line that its level lets through. Most sessions write nothing but their last line. */
class BudgetedLogger implements Logger {
  protected readonly logger: Logger;
  protected readonly budget: OwnBudget;

  constructor(logger: Logger, budget: OwnBudget) {
    this.logger = logger;
    this.budget = budget;
  }

  trace(...line: Line): void {
    this.#write('trace', line);
  }

  debug(...line: Line): void {
    this.#write('debug', line);
  }

  info(...line: Line): void {
    this.#write('info', line);
  }

  warn(...line: Line): void {
    this.#write('warn', line);
  }

  error(...line: Line): void {
    this.#write('error', line);
  }

  fatal(...line: Line): void {
    this.#write('fatal', line);
  }

  isLevelEnabled(level: LogLevel): boolean {
    return this.logger.isLevelEnabled(level);
  }

  child(fields: LogFields): Logger {
    return new BudgetedLogger(this.logger.child(fields), this.budget);
  }

  #write(level: LogLevel, line: Line): void {
    if (!this.logger.isLevelEnabled(level) || !this.budget.take()) return;
    (this.logger[level] as (...line: Line) => void)(...line);
  }
}

class LastLineLogger extends BudgetedLogger implements SessionLogger {
  end(record: SessionRecord): void {
    if (!this.budget.takeLast()) return;
    const { suppressed } = this.budget;
    logSessionEnd(suppressed === 0 ? this.logger : this.logger.child({ suppressedLines: suppressed }), record);
  }
}
