/**
 * The lists of one scan in the frames that they travel in, for all sessions whose lists would be the same byte by byte.
 *
 * It is nobody's: the session that is ahead has the next list made, others wait for it or find it ready, and whoever leaves is
 * not missed. shared-lists.ts keeps recordings for clients to come.
 */

import { Bug, PeerGone } from '../errors.ts';
import { ClientMessages, type MessageState } from '../wire/messages.ts';
import type { PeerAddress, Transport } from '../wire/transport.ts';
import { FrameWriter } from '../wire/writer.ts';
import type { ListContext } from './context.ts';
import type { FileList } from './file-list.ts';
import { ListBuilder } from './list-builder.ts';
import type { SourceArgument } from './source-argument.ts';

/** What a recording costs beside its lists, roughly. */
const BASE_BYTES = 24 * 1024;

/** What a piece of output costs beside its bytes, roughly. */
const PIECE_OVERHEAD = 200;

/** How far a scan may be ahead of the fastest client once it is not kept for others. */
const MAX_AHEAD_BYTES = 256 * 1024;

/** One list. */
export interface RecordedList {
  /** Frames, in order; more may come until `list` is there. Those that all have sent are dropped. */
  readonly pieces: (Buffer | null)[];
  /** Null until the list is complete. */
  list: FileList | null;
  /** The rest is as it stands behind the list. */
  nextDirectory: number | null;
  hasRootDirectory: boolean;
  entriesSent: number;
  totalSizeBytes: number;
  messages: MessageState | null;
}

/** A session that plays a recording. */
export interface Player {
  /** The list and the piece that it sends next. */
  readonly at: { list: number; piece: number };
  /** Bytes that it has sent. */
  sentBytes: number;
  readonly isGone: () => boolean;
}

export interface RecordingPlan {
  /** As for the first session; the output, messages and view are the recording's own. */
  readonly context: Omit<ListContext, 'writer' | 'messages'>;
  readonly args: readonly SourceArgument[];
  /** Called when a list begins to be made, and when it is there or given up. */
  readonly onMaking: (isMaking: boolean) => void;
  /** Called when it has grown. */
  readonly onGrowth: () => void;
  /** Called when all of its lists are there, unless it is of no use or not kept any more. */
  readonly onComplete: (lists: readonly RecordedList[]) => void;
  /** Called when it is of no use to further sessions: it failed, or its scan met a file that vanished. */
  readonly onSpoiled: () => void;
}

/** Plays to any number of sessions. */
export class Recording {
  readonly #plan: RecordingPlan;
  readonly #players = new Set<Player>();
  readonly #lists: (RecordedList | null)[] = [];
  readonly #messages: ClientMessages;
  readonly #builder: ListBuilder;
  readonly #writer: FrameWriter;
  #waiting: (() => void)[] = [];
  /** Lists before this one are dropped. */
  #dropped = 0;
  #recordedBytes = 0;
  #isKept = true;
  #failure: unknown = null;
  #listBytes = 0;

  constructor(plan: RecordingPlan) {
    const { context } = plan;
    this.#plan = plan;
    this.#writer = new FrameWriter(new RecordingTransport(this), MAX_AHEAD_BYTES);
    this.#writer.startMux();
    this.#messages = new ClientMessages(this.#writer, context.protocol, context.limits.fileMessages);
    if (context.options.quiet) this.#messages.setQuiet();
    this.#builder = new ListBuilder({ ...context, writer: this.#writer, messages: this.#messages });
  }

  /** True when a session may begin with it. */
  get isUsable(): boolean {
    return this.#isKept && this.#failure === null;
  }

  /** What it occupies, roughly. */
  get bytes(): number {
    return BASE_BYTES + this.#listBytes + this.#builder.keptBytes(0);
  }

  /** Sessions that play it. */
  get players(): number {
    return this.#players.size;
  }

  join(isGone: () => boolean): Player {
    const player: Player = { at: { list: 0, piece: 0 }, sentBytes: 0, isGone };
    this.#players.add(player);
    return player;
  }

  leave(player: Player): void {
    this.#players.delete(player);
    this.advanced();
  }

  /** From here on only for the sessions that play it now: what all of them have sent is dropped. */
  release(): void {
    this.#isKept = false;
    this.advanced();
  }

  /**
   * The list of a number, being made when nobody has asked for it before.
   * @throws what the scan has failed with.
   */
  list(number: number): RecordedList {
    if (this.#failure !== null) throw this.#failure;
    if (number === this.#lists.length) void this.#make();
    const recorded = this.#lists[number];
    if (recorded == null) throw new Bug('a list of a recording was dropped too early');
    return recorded;
  }

  /** Resolves when there is more of any list. @throws what the scan has failed with. */
  async change(): Promise<void> {
    if (this.#failure === null) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#failure !== null) throw this.#failure;
  }

  /** A player has sent something or is gone. */
  advanced(): void {
    if (this.#isKept) return;
    this.#dropSent();
    this.#wake();
  }

  async #make(): Promise<void> {
    const recorded: RecordedList = {
      ...{ pieces: [], list: null, messages: null },
      ...{ nextDirectory: null, hasRootDirectory: false, entriesSent: 0, totalSizeBytes: 0 },
    };
    this.#lists.push(recorded);
    this.#plan.onMaking(true);
    const builder = this.#builder;
    const { args } = this.#plan;
    try {
      const isFirst = this.#lists.length === 1;
      const list = await (isFirst ? builder.first(args, args.length > 1) : builder.next());
      this.#writer.flush();
      const { nextDirectory, hasRootDirectory, entriesSent, totalSizeBytes } = builder;
      const messages = this.#messages.state;
      this.#listBytes += list.compact();
      Object.assign(recorded, { list, nextDirectory, hasRootDirectory, entriesSent, totalSizeBytes, messages });
      if (this.#messages.hasVanished) this.#plan.onSpoiled();
      else if (nextDirectory === null && this.#isKept) this.#plan.onComplete(this.#lists as RecordedList[]);
    } catch (thrown) {
      this.fail(thrown);
    }
    this.#plan.onGrowth();
    this.#plan.onMaking(false);
    this.#wake();
  }

  /** Takes a part of the list that is being made. */
  record(bytes: Uint8Array): void {
    this.#lists.at(-1)!.pieces.push(Buffer.from(bytes));
    this.#recordedBytes += bytes.length;
    this.#listBytes += bytes.length + PIECE_OVERHEAD;
    this.#plan.onGrowth();
    this.#wake();
  }

  /** True when nobody is left to scan for. */
  get isDeserted(): boolean {
    for (const { isGone } of this.#players) if (!isGone()) return false;
    return true;
  }

  /** Recorded bytes that no session has sent yet; as long as it is kept, the whole is bounded and the scan waits for nobody. */
  get aheadBytes(): number {
    if (this.#isKept) return 0;
    let sent = 0;
    for (const { sentBytes } of this.#players) sent = Math.max(sent, sentBytes);
    return this.#recordedBytes - sent;
  }

  fail(thrown: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = thrown;
    this.#plan.onSpoiled();
    this.#wake();
  }

  #dropSent(): void {
    let first = { list: this.#lists.length - 1, piece: 0 };
    for (const { at } of this.#players) {
      if (at.list < first.list || (at.list === first.list && at.piece < first.piece)) first = at;
    }
    for (; this.#dropped < first.list; this.#dropped++) this.#lists[this.#dropped] = null;
    this.#lists[first.list]?.pieces.fill(null, 0, first.piece);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** Takes what a scan writes. */
class RecordingTransport implements Transport {
  readonly peer: PeerAddress = { address: '', port: 0 };
  readonly #recording: Recording;

  constructor(recording: Recording) {
    this.#recording = recording;
  }

  get queuedBytes(): number {
    return this.#recording.aheadBytes;
  }

  get isBroken(): boolean {
    return this.#recording.isDeserted;
  }

  write(bytes: Uint8Array, released?: () => void): void {
    this.#recording.record(bytes);
    released?.();
  }

  async drained(maxQueuedBytes: number): Promise<void> {
    const recording = this.#recording;
    while (!recording.isDeserted && recording.aheadBytes > maxQueuedBytes) await recording.change();
    if (!recording.isDeserted) return;
    const gone = new PeerGone('all clients of a shared scan have gone');
    // At once: nobody may join what is coming to its end.
    recording.fail(gone);
    throw gone;
  }

  tryRead(): null {
    return null;
  }

  async read(): Promise<null> {
    return null;
  }

  endWrite(): void {}

  destroy(): void {}
}
