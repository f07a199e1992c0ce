/**
 * Waiting for a place in a module that is full, where the key `queue` allows it; connect.ts calls it behind the login.
 *
 * Clients print whatever comes before OK like a message of the day (1-session.md 2.3), to standard output and not with --no-motd:
 * that is how they learn where they stand. They send nothing meanwhile.
 */

import type { AccessError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { SessionRecord } from '../observe/session-log.ts';
import { monotonicMs } from '../shared.ts';
import { clientTurn } from '../slice.ts';
import type { ByteReader } from '../wire/reader.ts';
import type { Watchdog } from '../wire/watchdog.ts';
import type { AdmissionTicket, QueuePosition } from './admission-ticket.ts';
import type { TextSink } from './line-source.ts';
import { tooManyConnections } from './refusals.ts';
import type { ServedModule } from './served-module.ts';

/**
 * A client hears from us this often, if only a dot: C rsync applies its --timeout here as well, and looks at the clock only after
 * half of it without a byte. With 4 s a --timeout of 10 survives.
 */
const DOT_MS = 4000;

/** A client that moves on in the queue hears of it at most this often; many may come and go in a second. */
const MOVE_MS = 500;

/** Then a new line begins: no client takes one of more than 1022 bytes, and people want to see something. */
const DOTS_PER_LINE = 60;

/** The clients of one event loop that wait, whatever for, and what tells them that it is in vain. */
export class WaitingRoom {
  readonly #clients = new Set<(reason: AccessError) => void>();
  #closed: AccessError | null = null;

  /** @returns how to leave. */
  enter(onInVain: (reason: AccessError) => void): () => void {
    if (this.#closed !== null) onInVain(this.#closed);
    this.#clients.add(onInVain);
    return () => void this.#clients.delete(onInVain);
  }

  /** Sends all home. */
  clear(reason: AccessError): void {
    for (const onInVain of this.#clients) onInVain(reason);
  }

  /** As `clear`, and whoever comes from now on as well. */
  close(reason: AccessError): void {
    this.#closed = reason;
    this.clear(reason);
  }
}

/** What waiting needs of the session. */
export interface QueueContext {
  readonly module: ServedModule;
  readonly ticket: AdmissionTicket;
  readonly watchdog: Watchdog;
  readonly record: SessionRecord;
  readonly limits: Pick<Limits, 'lineBytes'>;
  readonly waitingRoom?: WaitingRoom;
  readonly onQueue: (ahead: number | null) => void;
}

/**
 * Returns with a place in the module, at once when there is one.
 * @throws AccessError when the queue is full, when it takes too long or is in vain; PeerGone when the client leaves; ProtocolError
 * when it talks.
 */
export async function waitForPlace(reader: ByteReader, sink: TextSink, context: QueueContext): Promise<void> {
  const { module, ticket, watchdog, record, limits, waitingRoom, onQueue } = context;
  const position = ticket.queueUp();
  if (position === null) return;
  if (position === false) throw tooManyConnections(module.maxConnections);
  const startedMs = monotonicMs();
  watchdog.enter({ name: 'the queue', totalMs: 0, idleMs: 0 });
  watchdog.pauseExpected();
  const leave = waitingRoom?.enter((reason) => reader.abort(reason));
  const endMs = startedMs + module.queue.timeoutMs;
  const line = { ...context, text: new QueueText(sink), endMs, hasLeft: false };
  try {
    await reader.idleUntil(standInLine(line, position), limits.lineBytes, 'waiting in the queue', 'lineBytes');
  } catch (thrown) {
    ticket.leaveQueue();
    throw thrown;
  } finally {
    line.hasLeft = true;
    line.text.endLine();
    leave?.();
    onQueue(null);
    record.queueSeconds = (monotonicMs() - startedMs) / 1000;
  }
  watchdog.restartExpected();
  sink.writeText(Buffer.from(`module ${module.name}: it is your turn\n`));
}

/** What a client that waits reads: lines, and dots between them. */
class QueueText {
  readonly #sink: TextSink;
  #dots = 0;

  constructor(sink: TextSink) {
    this.#sink = sink;
  }

  line(text: string): Promise<void> {
    this.endLine();
    this.#sink.writeText(Buffer.from(`${text}\n`));
    return this.#sink.flush();
  }

  dot(): Promise<void> {
    this.#sink.writeText(DOT);
    this.#dots++;
    if (this.#dots === DOTS_PER_LINE) this.endLine();
    return this.#sink.flush();
  }

  /** What follows begins a line. */
  endLine(): void {
    if (this.#dots > 0) this.#sink.writeText(LINE_END);
    this.#dots = 0;
  }
}

const DOT = Buffer.from('.');
const LINE_END = Buffer.from('\n');

interface Line extends QueueContext {
  readonly text: QueueText;
  /** On the clock of this thread. */
  readonly endMs: number;
  /** The client does not wait any more, for another reason than its turn. */
  hasLeft: boolean;
}

/** Tells the client where it stands until it has its place. */
async function standInLine(line: Line, first: QueuePosition): Promise<void> {
  const { module, ticket, text, endMs, onQueue } = line;
  let position: QueuePosition | null | false = first;
  let told = { ahead: -1, atMs: Number.NEGATIVE_INFINITY };
  const dueMs = (ahead: number): number => told.atMs + (ahead === told.ahead ? DOT_MS : MOVE_MS);
  while (position !== null && !line.hasLeft) {
    const now = monotonicMs();
    const waited = `waited ${module.queue.timeoutMs / 1000} s in the queue`;
    if (now >= endMs || position === false) throw tooManyConnections(module.maxConnections, waited);
    const { ahead, waiting } = position;
    if (now >= dueMs(ahead)) {
      const hasMoved = ahead !== told.ahead;
      told = { ahead, atMs: now };
      onQueue(ahead);
      if (hasMoved)
        await text.line(`module ${module.name} is full: you are number ${ahead + 1} of ${waiting} in the queue`);
      else await text.dot();
    }
    await ticket.queueMoved(Math.min(endMs, dueMs(ahead)) - now);
    // SECURITY: who comes and goes moves the queue each time, and wakes all that stand in it.
    await clientTurn(ticket.client);
    if (!line.hasLeft) position = ticket.queueUp();
  }
}
