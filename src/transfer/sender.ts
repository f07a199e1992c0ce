/** The sender's main loop: requests in, answers out, phases, and the sub-lists in between (3-transfer.md 2.3). */

import { FileError, LimitError, ProtocolError, VanishedError } from '../errors.ts';
import { openListed } from '../flist/content-sum.ts';
import type { FileList, FoundEntry } from '../flist/file-list.ts';
import type { FileLists } from '../flist/lists.ts';
import { line, quotedPath, vanishedText } from '../flist/texts.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { SMALL_FILE } from '../vfs/read-pace.ts';
import {
  FNAMECMP_FNAME,
  IOERR_GENERAL,
  IOERR_VANISHED,
  ITEM_IS_NEW,
  ITEM_TRANSFER,
  NDX_DEL_STATS,
  NDX_DONE,
} from '../wire/constants.ts';
import { MAX_NDX_BYTES } from '../wire/ndx.ts';
import { BlockSums } from './block-sums.ts';
import type { TransferContext } from './context.ts';
import { shownPath } from './progress.ts';
import { readBlockSums } from './read-sums.ts';
import { putItem, type Request, readRequest } from './request.ts';
import { appendedLength, type SendPlan, sendContent, sendSmallWhole } from './send-file.ts';
import { echoDeletionCounts, putStatistics } from './stats.ts';
import { allowsWholeRequests, NO_BASIS, takeWholeRequest } from './whole-request.ts';
import { putXattrReply, readXattrRequest, type XattrRequest } from './xattr-reply.ts';

/** Entries kept in stock ahead of the client, and how far idle time may extend that (2-file-list.md 4.5). */
const LOOK_AHEAD = 1000;
const IDLE_LOOK_AHEAD = 10_000;

/** The transfer phase of one session, from the first request to the goodbye. */
export class Sender {
  readonly #context: TransferContext;
  readonly #lastPhase: number;
  readonly #allowsWhole: boolean;
  /** The list that the client's latest index belongs to. */
  #current: FileList | undefined;
  #phase = 0;
  /** Sizes of the files that were asked for. */
  #contentBytes = 0;

  constructor(context: TransferContext) {
    this.#context = context;
    this.#lastPhase = context.protocol >= 29 ? 2 : 1;
    this.#allowsWhole = allowsWholeRequests(context);
    this.#current = context.lists.oldest;
  }

  /** Runs the phase to its end. @throws ProtocolError, LimitError, PeerGone */
  async run(): Promise<void> {
    const { messages } = this.#context;
    const listedErrors = messages.ioError;
    while (await this.#step());
    if (messages.ioError !== listedErrors) messages.ioErrorWord(messages.ioError);
    this.#putDone();
    await this.#sayGoodbye();
  }

  /** One index of the client, and all simple requests in front of it; false when the last phase is over. */
  async #step(): Promise<boolean> {
    await this.#keepListsAhead();
    if (this.#allowsWhole && (await this.#answerWhole())) return true;
    const ndx = await this.#context.ndxDecoder.read(this.#context.reader);
    if (ndx === NDX_DONE) return this.#finishPhase();
    if (ndx === NDX_DEL_STATS) await this.#echoDeletions();
    else if (ndx < 0) throw new ProtocolError(`unexpected ndx ${ndx}`);
    else await this.#answer(ndx);
    if (this.#context.slice.expired) await this.#context.slice.yield();
    if (this.#context.writer.pressure) await this.#context.writer.drain();
    return true;
  }

  /** Sends sub-lists so that the client never runs dry, and more of them while it is silent. */
  async #keepListsAhead(): Promise<void> {
    const { lists, reader, writer } = this.#context;
    while (!lists.isComplete && this.#ahead() < LOOK_AHEAD) await lists.sendSubList();
    while (!lists.isComplete && !reader.ready && this.#ahead() < IDLE_LOOK_AHEAD) {
      await lists.sendSubList();
      writer.flush();
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  #ahead(): number {
    return this.#current === undefined ? 0 : this.#context.lists.entriesAhead(this.#current);
  }

  /** NDX_DONE releases the oldest list while there are several, then ends phases. */
  #finishPhase(): boolean {
    const { lists, incRecurse } = this.#context;
    if (incRecurse && lists.hasLive) {
      const released = lists.oldest;
      if (released !== undefined) this.#context.progress.released(released);
      lists.releaseOldest();
      if (this.#current === released) this.#current = lists.oldest;
      if (lists.hasLive) {
        this.#putDone();
        return true;
      }
    }
    this.#phase++;
    if (this.#phase > this.#lastPhase) return false;
    this.#putDone();
    return true;
  }

  /** Answers requests for whole files as long as nothing has to be waited for; true when there was any. */
  async #answerWhole(): Promise<boolean> {
    const { reader, ndxDecoder, slice, writer, lists } = this.#context;
    let request = takeWholeRequest(reader, ndxDecoder);
    if (request === null) return false;
    do {
      const answered = this.#sendWhole(request.ndx, request.iflags);
      if (answered !== undefined) await answered;
      if (slice.expired) await slice.yield(true);
      if (writer.pressure) await writer.drain();
      if (!lists.isComplete && this.#ahead() < LOOK_AHEAD) break;
      request = takeWholeRequest(reader, ndxDecoder);
    } while (request !== null);
    return true;
  }

  /** Sends a whole file; in this tick when it is small. */
  #sendWhole(ndx: number, iflags: number): Promise<void> | undefined {
    const { writer, ndxEncoder, protocol, progress, lists } = this.#context;
    const found = this.#checked(lists.find(ndx));
    this.#current = found.list;
    const sends = this.#claim(ndx, found);
    const file = this.#open(ndx, found);
    if (file === null) return undefined;
    this.#chargeContent(file);
    const request = { ndx, iflags, basisType: FNAMECMP_FNAME, xname: null };
    if (file.sizeBytes > SMALL_FILE) return this.#sendLarge(file, found, { request, isRedo: sends > 0 });
    try {
      putItem(writer, ndxEncoder, request, protocol);
      const readError = sendSmallWhole(this.#context, file);
      if (readError !== null) this.#reportReadError(found, readError);
      progress.sent(file.sizeBytes);
    } finally {
      file.close();
    }
    return undefined;
  }

  /** The rest of `#sendWhole` for a large file. */
  async #sendLarge(file: OpenFile, found: FoundEntry, plan: Pick<SendPlan, 'request' | 'isRedo'>): Promise<void> {
    const { writer, ndxEncoder, protocol, progress, sums, limits } = this.#context;
    try {
      putItem(writer, ndxEncoder, plan.request, protocol);
      const blockSums = new BlockSums(NO_BASIS, { digestLength: sums.digestLength, limits });
      const name = found.list.name(found.position);
      const readError = await sendContent(this.#context, file, { ...plan, blockSums, name, appends: false });
      if (readError !== null) this.#reportReadError(found, readError);
      progress.sent(file.sizeBytes);
    } finally {
      file.close();
    }
  }

  async #answer(ndx: number): Promise<void> {
    const { protocol, reader, limits, lists } = this.#context;
    const request = await readRequest(reader, ndx, protocol, limits);
    if (this.#isKeepAlive(request)) return;
    const found = lists.find(ndx);
    this.#current = found.list;
    const xattrs = await readXattrRequest(this.#context, request.iflags, found);
    if (!(request.iflags & ITEM_TRANSFER)) {
      this.#countReport(found.list, found.position);
      await this.#putItem(request, xattrs);
      return;
    }
    await this.#transfer(request, xattrs, this.#checked(found));
  }

  /** @throws ProtocolError when the content of an entry may not be asked for. */
  #checked(found: ReturnType<FileLists['find']>): FoundEntry {
    if (found.position === null || !found.list.isRegular(found.position)) {
      throw new ProtocolError('transfer of something that is no regular file');
    }
    if (this.#phase >= 2) throw new ProtocolError('got transfer request in phase 2');
    return found;
  }

  /** Notes a request for content. @returns how often the file was asked for before. */
  #claim(ndx: number, found: FoundEntry): number {
    const sends = found.list.countSend(found.position);
    this.#context.progress.reached(ndx, found);
    // SECURITY: a real client asks twice at most, once per pass; more would be free amplification (B-19).
    if (sends >= this.#context.limits.sendsPerFile) throw new LimitError('sendsPerFile', 'file requested too often');
    return sends;
  }

  /** Counts the content that a client is about to get. @throws LimitError, with the file closed, when that is too much. */
  #chargeContent(file: OpenFile): void {
    const { limits, lists } = this.#context;
    this.#contentBytes += file.sizeBytes;
    const aboveBase = this.#contentBytes - limits.contentBaseBytes;
    if (aboveBase <= 0 || aboveBase <= limits.contentPerListedByte * lists.totals.totalSizeBytes) return;
    file.close();
    throw new LimitError('contentPerListedByte', 'far more content requested than was listed');
  }

  /** Repeats a request, with the values of attributes that it asked for. */
  async #putItem(request: Request, xattrs: XattrRequest | null): Promise<void> {
    const { writer, ndxEncoder, protocol } = this.#context;
    putItem(writer, ndxEncoder, request, protocol);
    await putXattrReply(this.#context, xattrs);
  }

  /** Protocol 29 clients say "still here" with an index behind the list (1-session.md 6.4). */
  #isKeepAlive(request: Request): boolean {
    const { protocol, lists } = this.#context;
    return protocol === 29 && request.iflags === ITEM_IS_NEW && request.ndx === lists.oldest?.count;
  }

  #countReport(list: FileList, position: number | null): void {
    const { limits } = this.#context;
    // SECURITY: the index of a list's own directory counts as well, or its echoes would be without bound (B-20).
    const reports = position === null ? list.countOwnReport() : list.countReport(position);
    if (reports >= limits.reportsPerFile) {
      throw new LimitError('reportsPerFile', 'too many reports of one file');
    }
  }

  async #transfer(request: Request, xattrs: XattrRequest | null, found: FoundEntry): Promise<void> {
    const { options } = this.#context;
    const sends = this.#claim(request.ndx, found);
    if (options.dryRun) {
      await this.#putItem(request, xattrs);
      return;
    }
    const isRedo = sends > 0;
    const appends = options.appendMode > 0 && !isRedo;
    const blockSums = await readBlockSums(this.#context, appends);
    const file = this.#open(request.ndx, found);
    if (file === null) return;
    this.#chargeContent(file);
    try {
      if (
        appends &&
        appendedLength(blockSums.head) > file.sizeBytes &&
        file.sizeBytes < found.list.sizeBytes(found.position)
      ) {
        this.#reportDiminished(request.ndx, found);
        return;
      }
      await this.#putItem(request, xattrs);
      const readError = await sendContent(this.#context, file, {
        request,
        blockSums,
        name: found.list.name(found.position),
        appends,
        isRedo,
      });
      if (readError !== null) this.#reportReadError(found, readError);
      this.#context.progress.sent(file.sizeBytes);
    } finally {
      file.close();
    }
  }

  /** Opens a requested file; null, with everything said, when it cannot be sent (3-transfer.md 2.5). */
  #open(ndx: number, found: FoundEntry): OpenFile | null {
    const { messages, module, openNoatime } = this.#context;
    const { list, position } = found;
    try {
      const source = list.source(position);
      if (!list.isFollowed(position)) {
        return this.#context.view.openFile(source.directory, list.nameText(position), openNoatime);
      }
      return openListed(this.#context, source, list.name(position), { isFollowed: true, noatime: openNoatime });
    } catch (thrown) {
      if (!(thrown instanceof FileError)) throw thrown;
      const path = shownPath(found);
      if (thrown instanceof VanishedError) {
        messages.ioError |= IOERR_VANISHED;
        messages.vanished(vanishedText(path, module.name));
      } else {
        messages.ioError |= IOERR_GENERAL;
        messages.fileError(
          line('rsync: [sender] send_files failed to open ', quotedPath(path, module.name), `: ${thrown.message}`),
        );
      }
      messages.noSend(ndx);
      return null;
    }
  }

  #reportDiminished(ndx: number, found: FoundEntry): void {
    const { messages, module } = this.#context;
    messages.warning(line('skipped diminished file: ', quotedPath(shownPath(found), module.name)));
    messages.noSend(ndx);
  }

  #reportReadError(found: FoundEntry, error: FileError): void {
    const { messages, module } = this.#context;
    messages.ioError |= IOERR_GENERAL;
    messages.fileError(
      line('rsync: [sender] read errors mapping ', quotedPath(shownPath(found), module.name), `: ${error.message}`),
    );
  }

  async #echoDeletions(): Promise<void> {
    const { protocol, reader, writer, ndxEncoder } = this.#context;
    if (protocol < 31) throw new ProtocolError('deletion counts below protocol 31');
    await echoDeletionCounts(reader, writer, ndxEncoder);
  }

  #putDone(): void {
    const { writer, ndxEncoder } = this.#context;
    writer.putWith(MAX_NDX_BYTES, (buffer, offset) => ndxEncoder.encode(buffer, offset, NDX_DONE));
  }

  /** Statistics, then one more round of NDX_DONE from protocol 31 (3-transfer.md 8.4). */
  async #sayGoodbye(): Promise<void> {
    const { writer, protocol, lists, traffic } = this.#context;
    const { totalSizeBytes, buildMs } = lists.totals;
    writer.flush();
    putStatistics(writer, protocol, { ...traffic(), totalSizeBytes, listBuildMs: buildMs });
    await this.#readGoodbye();
    if (protocol < 31) return;
    this.#putDone();
    await this.#readGoodbye();
  }

  async #readGoodbye(): Promise<void> {
    const { ndxDecoder, reader, protocol, limits } = this.#context;
    for (let others = 0; others < limits.goodbyeItems; others++) {
      const ndx = await ndxDecoder.read(reader);
      if (ndx === NDX_DONE) return;
      if (ndx === NDX_DEL_STATS) await this.#echoDeletions();
      else if (protocol === 29 && ndx >= 0) await readRequest(reader, ndx, protocol, limits);
      else throw new ProtocolError('unexpected ndx at the end of the session');
    }
    throw new LimitError('goodbyeItems', 'no end of the session');
  }
}
