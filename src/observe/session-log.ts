/** What the log says about sessions: one line at the end of each, and a budget that no peer can exceed. */

import { limitHits } from '../limit-hits.ts';
import type { Limits } from '../limits.ts';
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
  seconds: number;
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
  logger.info({ ...fields, seconds: Math.round(record.seconds * 1000) / 1000 }, 'session ended');
}

/** The lines per second that all sessions share (B-26b). One per process. */
export class LogBudget {
  readonly #perSecond: number;
  readonly #nowMs: () => number;
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #suppressed = 0;
  #suppressedTotal = 0;

  /** @param nowMs a clock that never goes back. */
  constructor(limits: Pick<Limits, 'logLinesPerSecond'>, nowMs: () => number = () => performance.now()) {
    this.#perSecond = limits.logLinesPerSecond;
    this.#nowMs = nowMs;
  }

  /** Lines held back since the start. */
  get suppressedTotal(): number {
    return this.#suppressedTotal;
  }

  /** True when one more line may be written now; the first one after a silence says on `logger` how many were not. */
  take(logger: Logger): boolean {
    const now = this.#nowMs();
    if (now - this.#windowStartMs >= 1000) {
      this.#windowStartMs = now;
      this.#lines = 0;
    }
    if (this.#lines >= this.#perSecond) {
      limitHits.count('logLinesPerSecond');
      this.#suppressed++;
      this.#suppressedTotal++;
      return false;
    }
    this.#lines++;
    if (this.#suppressed > 0) {
      const lines = this.#suppressed;
      this.#suppressed = 0;
      logger.warn({ lines }, 'log lines suppressed: sessions wrote more than logLinesPerSecond');
    }
    return true;
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
