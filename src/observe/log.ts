/**
 * The daemon's log: a Logger interface for every layer, bound to pino by main.ts.
 *
 * One JSON object a line; on a terminal one readable line; under the journal a `<N>` syslog level in front.
 */

import { type LoggerOptions, pino } from 'pino';
import { escapeControls, escapeJsonControls } from './escape.ts';
import type { LiveArea } from './live-area.ts';
import { textLines } from './text-format.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** Facts of a log line. Names of files go in as printable text, never as Buffers; errors under `err`. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes one line, with facts or without. Never throws, never waits. */
export interface LogMethod {
  (fields: LogFields, message?: string): void;
  (message: string): void;
}

/** What the layers below main.ts see of the log. */
export interface Logger {
  readonly trace: LogMethod;
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
  readonly fatal: LogMethod;
  /** False when lines of this level go nowhere. */
  isLevelEnabled(level: LogLevel): boolean;
  /** A logger that adds `fields` to each of its lines. */
  child(fields: LogFields): Logger;
}

/** The logger that owns the destination. */
export interface RootLogger extends Logger {
  /** Lines below it go nowhere; loggers that were made by `child` keep theirs. */
  level: LogLevel;
  /** Lines lost because the reader of the log was too slow or is gone. */
  readonly droppedLines: number;
  /** Writes lines that the logger of a worker has made (`createLineLogger`). */
  writeLines(lines: readonly string[]): void;
  /** From here on lines are written above the area. */
  useArea(area: LiveArea): void;
  /** Writes text as it is, in order with the lines; nothing is asked for while the terminal is stopped. */
  writeText(text: () => string): void;
  /**
   * Waits until everything logged has been written, at most `timeoutMs`; false when the reader is stuck.
   * Node then hangs in exit(), since the blocked write keeps one of its threads: end with SIGKILL.
   */
  flushed(timeoutMs: number): Promise<boolean>;
}

export interface LogOptions {
  level: LogLevel;
  /** Default 2, standard error. */
  fd?: number;
  /** Readable lines instead of JSON. */
  isTerminal?: boolean;
  /** Lines of rsyncd's log instead of either. */
  isText?: boolean;
  /** `<N>` in front of each line, for a destination that the journal reads. */
  journald?: boolean;
}

/** Lines that wait for a slow reader; more are dropped. Memory that a stalled `journalctl | less` may cost us. */
const MAX_QUEUED_BYTES = 1024 * 1024;

/**
 * How long a line may wait for others: each write wakes up a thread of the pool and, before that, each message of a worker the main
 * thread, which costs more than the line does. A process that is killed with SIGKILL loses what it was about to write.
 */
const GATHER_MS = 20;

/** So much is written at once; longer waits are for less. */
const FULL_BYTES = 8 * 1024;

/** Syslog severities of sd-daemon(3). */
const SYSLOG: Readonly<Record<string, number>> = { trace: 7, debug: 7, info: 6, warn: 4, error: 3, fatal: 2 };

/**
 * Opens the log on a descriptor, which stays open. One per process.
 *
 * SECURITY: the destination is asynchronous and bounded; with a synchronous one, whoever stops reading the log stops
 * the daemon (libraries.md 8).
 */
export function createLogger(options: LogOptions): RootLogger {
  const destination = new LogDestination(options);
  const logger = pino(pinoOptions(options.level), destination);
  destination.reportDropsTo((lines) => logger.warn({ lines }, 'log lines dropped: the reader of the log is too slow'));
  return Object.defineProperties(logger as unknown as RootLogger, {
    droppedLines: { get: () => destination.droppedLines },
    flushed: { value: (timeoutMs: number) => destination.flushed(timeoutMs) },
    writeLines: { value: (lines: readonly string[]) => destination.writeAll(lines) },
    useArea: { value: (area: LiveArea) => destination.useArea(area) },
    writeText: { value: (text: () => string) => destination.writeText(text) },
  });
}

/**
 * The logger of a worker thread: its lines go to `send`, several at a time, and from there to `writeLines` in the main thread.
 *
 * SECURITY: there is one writer to the descriptor. A write that a stalled reader holds up keeps one of the four threads that read
 * files for all workers; if each worker wrote, the reader of the log could stop them all, and lines could mix.
 */
export function createLineLogger(level: LogLevel, send: (lines: readonly string[]) => void): LineLogger {
  const lines: string[] = [];
  const flush = (): void => {
    if (lines.length > 0) send(lines.splice(0));
  };
  const write = (line: string): void => {
    if (lines.push(line) === 1) setTimeout(flush, GATHER_MS);
  };
  return Object.defineProperty(pino(pinoOptions(level), { write }) as unknown as LineLogger, 'flush', { value: flush });
}

/** A logger that keeps lines for a moment. */
export interface LineLogger extends Logger {
  /** Sends what it keeps. */
  flush(): void;
}

function pinoOptions(level: LogLevel): LoggerOptions {
  return {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  };
}

/** Between pino and the descriptor: formats lines, counts what is lost, knows what is still on its way. */
class LogDestination {
  readonly #stream: ReturnType<typeof pino.destination>;
  readonly #format: (line: string) => string;
  #pendingBytes = 0;
  #dropped = 0;
  #droppedReported = 0;
  #broken = false;
  #reportDrops: (lines: number) => void = () => {};
  #area: LiveArea | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor({ fd = 2, isTerminal = false, isText = false, journald = false }: LogOptions) {
    this.#stream = pino.destination({ fd, sync: false, minLength: FULL_BYTES, maxLength: MAX_QUEUED_BYTES });
    const format = isText ? textLines : (line: string) => [isTerminal ? terminalLine(line) : escapeJsonControls(line)];
    this.#format = (line) => {
      const priority = journald ? `<${syslogLevel(line)}>` : '';
      return format(line)
        .map((one) => priority + one)
        .join('');
    };
    this.#stream.on('write', (bytes: number) => {
      this.#pendingBytes -= bytes;
    });
    this.#stream.on('drop', (line: string) => {
      this.#pendingBytes -= Buffer.byteLength(line);
      this.#dropped++;
    });
    this.#stream.on('drain', () => this.#onDrain());
    this.#stream.on('error', (error: NodeJS.ErrnoException) => {
      // A full disk may have room again later; a reader that is gone does not come back.
      if (error.code === 'EPIPE' || error.code === 'EBADF') this.#broken = true;
    });
  }

  get droppedLines(): number {
    return this.#dropped;
  }

  reportDropsTo(report: (lines: number) => void): void {
    this.#reportDrops = report;
  }

  /** pino calls this with one JSON line. */
  write(json: string): void {
    if (this.#broken) {
      this.#dropped++;
      return;
    }
    const line = this.#format(json);
    this.#append(this.#area === null ? line : this.#area.above(line));
    this.#flushLater();
  }

  useArea(area: LiveArea): void {
    this.#area = area;
  }

  writeText(text: () => string): void {
    if (this.#broken || this.#pendingBytes > MAX_QUEUED_BYTES / 2) return;
    const written = text();
    if (written === '') return;
    this.#append(written);
    this.#flush();
  }

  #append(text: string): void {
    const bytes = Buffer.byteLength(text);
    this.#pendingBytes += bytes;
    try {
      this.#stream.write(text);
    } catch {
      // pino ends its stream when the event loop runs dry, and a line after that must not throw.
      this.#pendingBytes -= bytes;
      this.#dropped++;
    }
  }

  /** Lines that have waited already. */
  writeAll(lines: readonly string[]): void {
    for (const line of lines) this.write(line);
    this.#flush();
  }

  #flushLater(): void {
    this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS);
  }

  /** Begins to write what has gathered, unless something is being written: what is left then, `drain` comes back to. */
  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#pendingBytes <= 0 || this.#broken) return;
    try {
      this.#stream.flush();
    } catch {
      // As in `append`: pino wrote what there was when it ended its stream.
    }
  }

  flushed(timeoutMs: number): Promise<boolean> {
    if (this.#pendingBytes <= 0 || this.#broken) return Promise.resolve(true);
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#stream.off('drain', goOn);
        this.#stream.off('error', finish);
        resolve(this.#pendingBytes <= 0 || this.#broken);
      };
      const goOn = (): void => {
        if (this.#pendingBytes > 0) this.#flush();
        else finish();
      };
      const timer = setTimeout(finish, timeoutMs);
      this.#stream.on('drain', goOn);
      this.#stream.on('error', finish);
      this.#flush();
    });
  }

  #onDrain(): void {
    if (this.#pendingBytes > 0) this.#flushLater();
    const lines = this.#dropped - this.#droppedReported;
    if (lines === 0) return;
    this.#droppedReported = this.#dropped;
    this.#reportDrops(lines);
  }
}

function syslogLevel(line: string): number {
  // `level` is the first field of every line that pino writes.
  return SYSLOG[/^\{"level":"(\w+)"/.exec(line)?.[1] ?? ''] ?? SYSLOG.info!;
}

/** `12:34:56.789 WARN  message  key=value key="two words"`, with error stacks on one line too. */
function terminalLine(json: string): string {
  const { level, time, msg, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const clock = String(time).slice(11, 23);
  const facts = Object.entries(fields).map(([key, value]) => ` ${escapeControls(key)}=${factText(value)}`);
  return `${clock} ${String(level).toUpperCase().padEnd(5)} ${escapeControls(String(msg ?? ''))}${facts.join('')}\n`;
}

function factText(value: unknown): string {
  if (typeof value === 'string' && /^[^\s"=\\]+$/.test(value)) return escapeControls(value);
  return escapeJsonControls(JSON.stringify(value));
}
