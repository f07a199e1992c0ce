/**
 * The clocks of one session (security.md B, 1-session.md 6.4): phase deadlines, silence of the peer, output that nobody takes,
 * and the keep-alives that we owe. It samples counters once a second, so the data path pays nothing for it.
 */

import { type RsyncError, TimeoutError } from '../errors.ts';
import type { LimitName } from '../limits.ts';
import { monotonicMs } from '../shared.ts';
import type { ByteReader } from './reader.ts';
import type { Transport } from './transport.ts';
import type { FrameWriter } from './writer.ts';

const TICK_MS = 1000;

/** Time for a session that is ended to say why. */
const SHED_LINGER_MS = 1000;

/** An empty data frame is its header. */
const KEEP_ALIVE_BYTES = 4;

/** What may take how long; 0 is no limit. */
export interface PhaseClock {
  /** Stands in messages: "timeout while waiting for the greeting". */
  readonly name: string;
  /** Whole phase. */
  readonly totalMs: number;
  /** No byte in either direction while the session waits for the peer; our keep-alives do not count. */
  readonly idleMs: number;
  /** Where `totalMs` and `idleMs` come from, for the counters. */
  readonly totalLimit?: LimitName;
  readonly idleLimit?: LimitName;
}

export interface WatchdogParts {
  readonly transport: Transport;
  readonly reader: ByteReader;
  readonly writer: FrameWriter;
  /** Output that makes no progress (B-18). */
  readonly outputStallMs: number;
  /** Whole session (B-25); 0 is no limit. */
  readonly sessionMs: number;
  /** Called when a phase ends because the next begins. */
  readonly onPhaseEnd?: (name: string, ms: number) => void;
}

/** Aborts the session's reads when a clock runs out. Stop it when the session ends. */
export class Watchdog {
  readonly #parts: WatchdogParts;
  #timer: NodeJS.Timeout;
  readonly #startedMs = monotonicMs();
  #phase: PhaseClock = { name: 'start', totalMs: 0, idleMs: 0 };
  #phaseStartedMs = monotonicMs();
  /** Something that must have come by then, however many phases it takes. */
  #expected: { readonly name: string; readonly ms: number; readonly byMs: number; readonly limit: LimitName } | null =
    null;
  #lastProgressMs = monotonicMs();
  #lastTakenMs = monotonicMs();
  #lastWriteMs = monotonicMs();
  #bytesRead = 0;
  #bytesWritten = 0;
  /** Most that the peer's side has taken, keep-alives apart. */
  #bytesTaken = 0;
  #keepAliveMs = 0;
  #keepAliveBytes = 0;
  #expired: RsyncError | null = null;
  #expiredMs = 0;

  constructor(parts: WatchdogParts) {
    this.#parts = parts;
    this.#timer = this.#startTicking(TICK_MS);
  }

  /** The error of the clock that ran out; null while none has. */
  get expired(): RsyncError | null {
    return this.#expired;
  }

  /** Name of the current phase, for the log and the status page. */
  get phaseName(): string {
    return this.#phase.name;
  }

  /** Starts a phase; its clocks begin now. */
  enter(phase: PhaseClock): void {
    const now = monotonicMs();
    this.#parts.onPhaseEnd?.(this.#phase.name, now - this.#phaseStartedMs);
    this.#phase = phase;
    this.#phaseStartedMs = now;
    this.#lastProgressMs = this.#phaseStartedMs;
  }

  /** Changes the silence that the current phase allows. */
  allowSilence(idleMs: number, idleLimit?: LimitName): void {
    const { name, totalMs, totalLimit } = this.#phase;
    this.#phase = { name, totalMs, idleMs, ...(totalLimit && { totalLimit }), ...(idleLimit && { idleLimit }) };
  }

  /** Starts a deadline that runs across phases, until `arrived` (B-12). */
  expectWithin(name: string, ms: number, limit: LimitName): void {
    this.#expected = { name, ms, byMs: monotonicMs() + ms, limit };
  }

  /** Stops that deadline: the client waits for us. */
  pauseExpected(): void {
    if (this.#expected !== null) this.#expected = { ...this.#expected, byMs: Number.POSITIVE_INFINITY };
  }

  /** Starts it again, with all its time. */
  restartExpected(): void {
    if (this.#expected !== null) this.expectWithin(this.#expected.name, this.#expected.ms, this.#expected.limit);
  }

  /** What was expected is there. */
  arrived(): void {
    this.#expected = null;
  }

  /** From here on an empty frame goes out whenever we wrote nothing for this long, at most half as long again. */
  keepAliveEvery(ms: number): void {
    this.#keepAliveMs = ms;
    // Writes are noticed a tick late and answered at the next: with ticks of a second, --timeout=3 came too late.
    clearInterval(this.#timer);
    this.#timer = this.#startTicking(Math.min(TICK_MS, ms / 4));
  }

  /** Ends the session for `reason`, and soon, whatever it does: one that computes finds its connection broken. */
  shed(reason: RsyncError): void {
    if (this.#expired !== null) return;
    this.#expired = reason;
    this.#expiredMs = monotonicMs();
    this.#parts.reader.abort(reason);
    setTimeout(() => this.#parts.transport.destroy(), SHED_LINGER_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #startTicking(ms: number): NodeJS.Timeout {
    const timer = setInterval(() => this.#tick(), ms);
    timer.unref();
    return timer;
  }

  #tick(): void {
    const now = monotonicMs();
    this.#sample(now);
    if (this.#expired !== null) {
      this.#endOverdue(now);
      return;
    }
    const error = this.#overdue(now);
    if (error !== null) {
      this.#expired = error;
      this.#expiredMs = now;
      this.#parts.reader.abort(error);
      this.#endOverdue(now);
      return;
    }
    const { writer, transport } = this.#parts;
    const owesKeepAlive = this.#keepAliveMs > 0 && writer.muxed && now - this.#lastWriteMs >= this.#keepAliveMs;
    if (!owesKeepAlive || transport.queuedBytes > 0) return;
    writer.keepAlive();
    this.#keepAliveBytes += KEEP_ALIVE_BYTES;
  }

  /** Destroys the connection of an expired session that nobody takes data from, or that is still there long after. */
  #endOverdue(now: number): void {
    const { outputStallMs, transport } = this.#parts;
    const { idleMs } = this.#phase;
    // SECURITY: a session that waits for its output to drain does not see the abort of its reads; a peer that stops
    // taking data, or takes a byte now and then, would keep it for ever (B-18, B-25).
    const isOverdue = now - this.#expiredMs > outputStallMs;
    // There is no telling the peer why, and waiting writers must wake up.
    if (isOverdue || this.#isStalled(now, idleMs > 0 ? Math.min(idleMs, outputStallMs) : outputStallMs)) {
      transport.destroy();
    }
  }

  #sample(now: number): void {
    const { reader, writer, transport } = this.#parts;
    // SECURITY: our own keep-alives must not pass for progress, or a client that sends nothing would stay for ever (B-17).
    const taken = writer.bytesWritten - transport.queuedBytes - this.#keepAliveBytes;
    const wasTaken = taken > this.#bytesTaken;
    // A long scan or a checksum of a big file is no silence of the peer: it waits for us.
    const isBusy = !reader.isWaiting && transport.queuedBytes === 0;
    if (reader.bytesRead !== this.#bytesRead || wasTaken || isBusy) this.#lastProgressMs = now;
    if (wasTaken || transport.queuedBytes === 0) this.#lastTakenMs = now;
    if (writer.bytesWritten !== this.#bytesWritten) this.#lastWriteMs = now;
    this.#bytesRead = reader.bytesRead;
    this.#bytesTaken = Math.max(this.#bytesTaken, taken);
    this.#bytesWritten = writer.bytesWritten;
  }

  #isStalled(now: number, patienceMs: number): boolean {
    return this.#parts.transport.queuedBytes > 0 && now - this.#lastTakenMs > patienceMs;
  }

  #overdue(now: number): TimeoutError | null {
    const { totalMs, idleMs, name, totalLimit, idleLimit } = this.#phase;
    if (totalMs > 0 && now - this.#phaseStartedMs > totalMs)
      return new TimeoutError(`timeout while waiting for ${name}`, { limit: totalLimit });
    if (this.#expected !== null && now > this.#expected.byMs) {
      const { name: expected, limit } = this.#expected;
      return new TimeoutError(`timeout while waiting for what comes before ${expected}`, { limit });
    }
    if (idleMs > 0 && now - this.#lastProgressMs > idleMs) {
      return new TimeoutError(`io timeout after ${Math.round(idleMs / 1000)} seconds`, { limit: idleLimit });
    }
    const { sessionMs, outputStallMs } = this.#parts;
    if (this.#isStalled(now, outputStallMs)) {
      return new TimeoutError('the client takes no data', { limit: 'outputStallMs' });
    }
    if (sessionMs > 0 && now - this.#startedMs > sessionMs) {
      return new TimeoutError('session too long', { limit: 'sessionMs' });
    }
    return null;
  }
}
