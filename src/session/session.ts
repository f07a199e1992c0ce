/** The life of one connection, straight down the protocol document; the only place that catches everything. */

import type { CompressionTools } from '../compress/choose.ts';
import { AccessError, Bug, EXIT, type LimitError, PeerGone, RsyncError, UsageError } from '../errors.ts';
import type { CommonReadings } from '../flist/common-readings.ts';
import type { DigestCache } from '../flist/digest-cache.ts';
import type { ListCache } from '../flist/shared-lists.ts';
import { limitHits } from '../limit-hits.ts';
import type { Limits } from '../limits.ts';
import { escapeControls } from '../observe/escape.ts';
import type { Logger } from '../observe/log.ts';
import { createSessionLogger, type LogBudget, type SessionLogger, type SessionRecord } from '../observe/session-log.ts';
import type { LiveSession, ProgressView, SessionRegistry, SessionView } from '../observe/session-registry.ts';
import type { TransferLog } from '../observe/transfer-log.ts';
import { onDemand } from '../on-demand.ts';
import type { ServerOptions } from '../options/server-options.ts';
import { monotonicMs } from '../shared.ts';
import { clientTurn, TimeSlice } from '../slice.ts';
import type { SentFile, TransferProgress } from '../transfer/progress.ts';
import { closeModuleRoot } from '../vfs/open-root.ts';
import { ClientExit } from '../wire/demux.ts';
import { ClientMessages } from '../wire/messages.ts';
import { ByteReader } from '../wire/reader.ts';
import { ThrottledTransport } from '../wire/throttle.ts';
import type { Transport } from '../wire/transport.ts';
import { Watchdog } from '../wire/watchdog.ts';
import { FrameWriter } from '../wire/writer.ts';
import type { AdmissionTicket } from './admission-ticket.ts';
import { type LoginJudge, requestModule } from './connect.ts';
import { overload, type Sheddable } from './overload.ts';
import type { Agreement } from './preamble.ts';
import type { WaitingRoom } from './queue.ts';
import { tooManyConnections } from './refusals.ts';
import type { ServedModule } from './served-module.ts';
import { TurnSource } from './turn-source.ts';
import type { SessionWork } from './work.ts';

/** What all sessions share. */
export interface Daemon {
  /** In configuration order. */
  readonly modules: readonly ServedModule[];
  readonly limits: Limits;
  /** For a session that transfers; the first that asks waits until they are loaded. */
  readonly tools: () => Promise<CompressionTools>;
  readonly motd: Buffer | null;
  readonly logger: Logger;
  readonly logBudget: LogBudget;
  readonly registry: SessionRegistry;
  readonly transferLog: TransferLog;
  /** For the modules that share file lists; absent where there is one session only. */
  readonly listCache?: () => Promise<ListCache>;
  /** For those that share none; absent where there is one session only. */
  readonly readings?: () => Promise<CommonReadings>;
  /** Likewise, for `-c`. */
  readonly digestCache?: DigestCache;
  /** Who waits for a place in a module; absent where there is one session only. */
  readonly waitingRoom?: WaitingRoom;
  /** Absent where every client that may log in is let in. */
  readonly onLogin?: LoginJudge;
  /** Called with what became of each session, when its connection is closed. */
  readonly onEnd?: (record: Readonly<SessionRecord>) => void;
}

/** What a session knows when its transfer begins. */
interface Agreed {
  readonly options: ServerOptions;
  readonly agreement: Agreement;
  readonly messages: ClientMessages;
  readonly module: ServedModule;
  readonly rootFd: number;
  readonly compressionTools: CompressionTools;
}

/** How far a session has come, which decides how an error can be told. */
type Stage = 'text' | 'arguments' | 'preamble' | 'muxed';

/** Even with a long timeout, idle clients still hear from us this often (1-session.md 6.4). */
const DEFAULT_KEEP_ALIVE_MS = 30_000;

const loadWork = onDemand(() => import('./work.ts'));

/** Serves one connection to its end. Never throws. */
export async function runSession(transport: Transport, daemon: Daemon, ticket: AdmissionTicket): Promise<void> {
  await new Session(transport, daemon, ticket).run();
}

/**
 * As runSession, for a process behind a remote shell that ends with its only session.
 * @returns the exit code that the client should end with.
 */
export async function runOnlySession(transport: Transport, daemon: Daemon, ticket: AdmissionTicket): Promise<number> {
  return new Session(transport, daemon, ticket, true).run();
}

class Session implements LiveSession, Sheddable {
  readonly #daemon: Daemon;
  readonly #ticket: AdmissionTicket;
  readonly #logger: SessionLogger;
  readonly #isOnly: boolean;
  readonly #startedMs = monotonicMs();
  readonly #record: SessionRecord;
  readonly #source: TurnSource;
  readonly #reader: ByteReader;
  readonly #watchdog: Watchdog;
  readonly #transport: ThrottledTransport;
  readonly #writer: FrameWriter;
  readonly #slice: TimeSlice;
  #messages: ClientMessages | null = null;
  #stage: Stage = 'text';
  #protocol = 0;
  #progress: TransferProgress | null = null;
  /** Clients ahead of this one in the queue of its module; null when it waits for no place. */
  #ahead: number | null = null;
  #heldBytes: () => number = () => 0;

  /** @param isOnly the client waits for the end of our process before it closes its side. */
  constructor(inner: Transport, daemon: Daemon, ticket: AdmissionTicket, isOnly = false) {
    this.#isOnly = isOnly;
    const transport = new ThrottledTransport(inner);
    this.#daemon = daemon;
    this.#ticket = ticket;
    this.#slice = new TimeSlice(ticket.client);
    this.#transport = transport;
    const { limits, logger, logBudget } = daemon;
    const { address: peer, port } = transport.peer;
    this.#logger = createSessionLogger(logger, logBudget, limits);
    this.#record = emptyRecord(peer, port);
    this.#writer = new FrameWriter(transport, limits.outputBytes);
    this.#source = new TurnSource(transport, ticket.client);
    this.#reader = new ByteReader(this.#source, () => this.#writer.flush());
    this.#watchdog = new Watchdog({
      transport,
      reader: this.#reader,
      writer: this.#writer,
      outputStallMs: limits.outputStallMs,
      sessionMs: limits.sessionMs,
      onPhaseEnd: (name, ms) => daemon.registry.phaseEnded(name, ms),
    });
    this.#watchdog.expectWithin('the file list', limits.preTransferMs, 'preTransferMs');
  }

  async run(): Promise<number> {
    this.#daemon.registry.begin(this);
    overload.add(this, this.#daemon.limits);
    try {
      await this.#serve();
    } catch (thrown) {
      this.#fail(this.#watchdog.expired ?? thrown);
    }
    // SECURITY: refused clients that send on while we read their rest, or wait for their end, must not fill the places of others.
    this.#ticket.leave();
    // SECURITY: an end costs as much as a beginning, and whoever breaks off again and again waits for it.
    await clientTurn(this.#ticket.client);
    try {
      await this.#end();
    } catch (thrown) {
      if (!(thrown instanceof PeerGone)) this.#logger.error({ err: thrown }, 'cannot end the session');
    } finally {
      overload.remove(this);
      this.#watchdog.stop();
      this.#transport.destroy();
      this.#log();
    }
    return this.#record.exit;
  }

  get heldBytes(): number {
    return this.#heldBytes();
  }

  /** Ends this session so that others can go on (B-26). */
  shed(reason: LimitError): void {
    this.#watchdog.shed(reason);
  }

  async #serve(): Promise<void> {
    const { limits } = this.#daemon;
    const text = await requestModule(this.#reader, this.#writer, {
      ...this.#daemon,
      peer: this.#transport.peer,
      ticket: this.#ticket,
      watchdog: this.#watchdog,
      record: this.#record,
      onQueue: (ahead) => {
        this.#ahead = ahead;
      },
    });
    if (text === null) return;
    this.#stage = 'arguments';
    const { module, protocol, rootFd } = text;
    this.#protocol = protocol;
    try {
      const { argumentsMs, filterMs, filterIdleMs } = limits;
      this.#watchdog.enter({ name: 'the arguments', totalMs: argumentsMs, totalLimit: 'argumentsMs', idleMs: 0 });
      // The client's arguments are on their way meanwhile.
      this.#writer.flush();
      const { work } = await loadWork();
      const options = await work.receiveOptions(this.#reader, protocol, module, limits);
      const hasPlace = this.#ticket.argumentsComplete();
      this.#source.release();
      // SECURITY: what comes now is work. Ten sessions that begin at once would each do a slice of it before anybody else's turn.
      await this.#slice.yield();
      if (this.#writer.isBroken) await this.#writer.drain();
      this.#stage = 'preamble';
      this.#watchdog.enter({
        ...{ name: 'the negotiation', totalMs: filterMs, totalLimit: 'filterMs' },
        ...{ idleMs: filterIdleMs, idleLimit: 'filterIdleMs' },
      });
      const tools = await this.#daemon.tools();
      const agreement = await work.exchangePreamble(this.#reader, this.#writer, { options, protocol, tools });
      const messages = this.#startMux(protocol);
      if (options.refusal !== null) throw options.refusal;
      work.requireLibrary(agreement.compression, tools);
      if (!hasPlace) throw tooManyConnections(module.maxConnections);
      await this.#transfer(work, { options, agreement, messages, module, rootFd, compressionTools: tools });
    } finally {
      closeModuleRoot(rootFd);
    }
  }

  async #transfer({ runTransfer, transferExit }: SessionWork, agreed: Agreed): Promise<void> {
    const { options, messages, module } = agreed;
    const { digestCache } = this.#daemon;
    const listCache = module.listCache === null ? undefined : await this.#daemon.listCache?.();
    const timeoutSec = options.timeoutSec > 0 ? Math.min(options.timeoutSec, module.timeoutSec) : module.timeoutSec;
    if (options.quiet) messages.setQuiet();
    messages.ioTimeout(timeoutSec);
    this.#watchdog.keepAliveEvery(Math.min(DEFAULT_KEEP_ALIVE_MS, timeoutSec * 500));
    if (options.bwlimitKiB > 0) this.#transport.limitTo(options.bwlimitKiB * 1024);
    for (const limit of module.rateLimits) this.#transport.shareLimit(limit);
    await runTransfer({
      ...agreed,
      paths: { kind: 'module' },
      slice: this.#slice,
      streams: { reader: this.#reader, writer: this.#writer, messages, watchdog: this.#watchdog },
      protocol: this.#protocol,
      limits: this.#daemon.limits,
      digests:
        digestCache === undefined ? null : { cache: digestCache, inTurn: (read) => this.#ticket.readInTurn(read) },
      listCache:
        listCache === undefined || module.listCache === null ? null : { cache: listCache, settings: module.listCache },
      readings: module.listCache === null ? ((await this.#daemon.readings?.()) ?? null) : null,
      idleMs: timeoutSec * 1000,
      onFileSent: (file) => this.#fileSent(module, file),
      onProgress: (progress) => {
        this.#progress = progress;
      },
      onHolding: (heldBytes) => {
        this.#heldBytes = heldBytes;
      },
    });
    this.#record.exit = transferExit(messages);
  }

  #fileSent({ name: module, logTransfers, logSample }: ServedModule, file: SentFile): void {
    this.#record.files++;
    if (logTransfers !== 'file') return;
    const { logger, transferLog } = this.#daemon;
    const { peer, port, user } = this.#record;
    transferLog.fileSent(logger, { peer, port, module, ...(user !== null && { user }) }, logSample, file);
  }

  /** From here on texts travel as messages. */
  #startMux(protocol: number): ClientMessages {
    this.#writer.startMux();
    this.#messages = new ClientMessages(this.#writer, protocol, this.#daemon.limits.fileMessages);
    this.#stage = 'muxed';
    return this.#messages;
  }

  /** Tells the peer what it may know, in the form of the stage that the session is in. */
  #fail(thrown: unknown): void {
    const error = thrown instanceof RsyncError ? thrown : new Bug('unexpected exception', { cause: thrown });
    if (error.limit !== undefined) limitHits.count(error.limit);
    this.#record.outcome = error.code;
    this.#record.exit = error.exit;
    this.#record.detail = error.message;
    if (error instanceof Bug)
      this.#logger.error({ err: thrown, peer: this.#record.peer, phase: this.#watchdog.phaseName }, 'internal error');
    if (error instanceof ClientExit) this.#messages?.acknowledgeExit();
    else if (error.tell !== undefined) this.#tell(error.tell.trimEnd(), error);
  }

  #tell(text: string, error: RsyncError): void {
    if (this.#stage === 'text') {
      this.#writer.putBytes(Buffer.from(`${error instanceof AccessError ? text : `@ERROR: ${text}`}\n`, 'latin1'));
      return;
    }
    if (this.#stage === 'preamble') return;
    // The arguments never became options: all-zero flags are a preamble that every client can follow (1-session.md 5.2).
    const messages = this.#messages ?? this.#skipPreamble();
    const prefix = error instanceof UsageError || error instanceof AccessError ? '' : 'rsync: [sender] ';
    messages.fatal(Buffer.from(`${prefix}${text}\n`, 'latin1'), error.exit);
  }

  #skipPreamble(): ClientMessages {
    if (this.#protocol >= 30) this.#writer.putVarint(0);
    this.#writer.putInt32(0);
    return this.#startMux(this.#protocol);
  }

  /** Half-closes and reads what the peer still sends, so that no reset destroys our last bytes (1-session.md 6.5). */
  async #end(): Promise<void> {
    const { limits } = this.#daemon;
    this.#writer.flush();
    this.#watchdog.enter({ name: 'the end', totalMs: 0, idleMs: 0 });
    this.#transport.endWrite();
    if (this.#isOnly && this.#record.outcome === 'ok') return this.#transport.drained(0);
    const timer = setTimeout(() => {
      limitHits.count('drainMs');
      this.#transport.destroy();
    }, limits.drainMs);
    try {
      if (!(await this.#reader.discard(limits.drainBytes))) limitHits.count('drainBytes');
      await this.#transport.drained(0);
    } finally {
      clearTimeout(timer);
    }
  }

  view(): SessionView {
    return {
      record: this.#record,
      phase: this.#watchdog.phaseName,
      ahead: this.#ahead,
      seconds: (monotonicMs() - this.#startedMs) / 1000,
      bytesSent: this.#writer.bytesWritten,
      bytesReceived: this.#reader.bytesRead,
      progress: this.#progress === null ? null : progressView(this.#progress),
    };
  }

  #log(): void {
    this.#record.bytesSent = this.#writer.bytesWritten;
    this.#record.bytesReceived = this.#reader.bytesRead;
    this.#record.seconds = (monotonicMs() - this.#startedMs) / 1000;
    const { registry, modules } = this.#daemon;
    if (this.#progress !== null) {
      this.#record.totalSize = this.#progress.listedBytes;
      registry.phaseEnded('the file list', this.#progress.listMs);
    }
    registry.end(this, this.#record);
    const { module, outcome } = this.#record;
    const isUnlogged = modules.some(({ name, logTransfers }) => name === module && logTransfers === 'off');
    // What goes wrong is no transfer, and always in the log.
    if (!isUnlogged || outcome !== 'ok') this.#logger.end(this.#record);
    this.#daemon.onEnd?.(this.#record);
  }
}

function progressView(progress: TransferProgress): ProgressView {
  const { entries, listedBytes, passedBytes, isListComplete, listMs, path } = progress;
  const file = path === null ? null : escapeControls(path.toString());
  return { entries, listedBytes, passedBytes, isListComplete, listMs, file };
}

/** The record of a session that has not begun. */
export function emptyRecord(peer: string, port: number): SessionRecord {
  return {
    peer,
    port,
    module: null,
    user: null,
    protocol: null,
    files: 0,
    bytesSent: 0,
    bytesReceived: 0,
    totalSize: null,
    seconds: 0,
    queueSeconds: null,
    outcome: 'ok',
    exit: EXIT.OK,
    detail: null,
  };
}
