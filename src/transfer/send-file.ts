/** One file's answer after its item: sum head, tokens, whole-file sum (3-transfer.md 2.6, 5, 6.1). */

import type { FileError } from '../errors.ts';
import { breathe } from '../flist/context.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { ReadPace, SMALL_FILE } from '../vfs/read-pace.ts';
import { acquireChunk, type Chunk, releaseChunk, SLOTS } from '../wire/chunk.ts';
import { CHUNK_SIZE } from '../wire/constants.ts';
import type { BlockSums } from './block-sums.ts';
import type { TransferContext } from './context.ts';
import { sendDelta } from './delta.ts';
import { asFileError, FileProgress, readNext, readPadded } from './padded-read.ts';
import type { Request } from './request.ts';
import { basisLength, echoedSumHead, SUM_HEAD_BYTES, type SumHead, writeSumHead } from './sum-head.ts';
import { reserveLiteral, type TokenSink } from './tokens.ts';

/** Data bytes of one full chunk. */
const CHUNK_DATA = SLOTS * CHUNK_SIZE;

/** Bytes that a compressor gets at once: a job of the thread pool costs as much as 50 KiB of work. */
const PIECE_BYTES = 256 * 1024;

/** How a file is to be sent. */
export interface SendPlan {
  readonly request: Request;
  readonly blockSums: BlockSums;
  /** Name of the file, which decides whether compressing it is worth while. */
  readonly name: Buffer;
  /** Append mode holds for this request. */
  readonly appends: boolean;
  /** The file is sent for the second time. */
  readonly isRedo: boolean;
}

/**
 * Sends a file's content.
 * @returns the error that cut its reading short, or null.
 */
export async function sendContent(context: TransferContext, file: OpenFile, plan: SendPlan): Promise<FileError | null> {
  const { writer, sums, options } = context;
  const progress = new FileProgress();
  const head = echoedSumHead(plan.blockSums.head, sums.digestLength);
  writer.putWith(SUM_HEAD_BYTES, (buffer, offset) => writeSumHead(buffer, offset, head));
  sums.file.reset();
  const from = plan.appends ? Math.min(appendedLength(head), file.sizeBytes) : 0;
  // --append-verify sums the whole file, --append only what is sent (3-transfer.md 2.7).
  const sumsWhole = options.appendMode > 1 || context.protocol < 30;
  if (plan.appends && sumsWhole) await sumRange(context, file, progress, from);
  const tokens = tokensFor(context, plan.name);
  if (!plan.appends && plan.blockSums.usable) await sendDelta(context, file, plan, { tokens, progress });
  else if (tokens !== context.plainTokens) await sendThrough(context, file, { tokens, progress }, from);
  else if (file.sizeBytes - from <= SMALL_FILE) sendSmall(context, file, progress, from);
  else await sendLarge(context, file, progress, from);
  await tokens.end();
  writer.putBytes(finalSum(sums.file.digest(), progress.error !== null));
  return progress.error;
}

/**
 * Sends the whole content of a file of at most SMALL_FILE bytes, uncompressed, in this tick.
 * @returns the error that cut its reading short, or null.
 */
export function sendSmallWhole(context: TransferContext, file: OpenFile): FileError | null {
  const { writer, sums } = context;
  const progress = new FileProgress();
  writer.reserve(SUM_HEAD_BYTES).fill(0);
  sums.file.reset();
  sendSmall(context, file, progress, 0);
  writer.putInt32(0);
  writer.putBytes(finalSum(sums.file.digest(), progress.error !== null));
  return progress.error;
}

/** Length of the client's file in append mode: what it has already. */
export function appendedLength(head: SumHead): number {
  return basisLength(head);
}

function tokensFor({ plainTokens, compressedTokens }: TransferContext, name: Buffer): TokenSink {
  if (compressedTokens === null) return plainTokens;
  compressedTokens.startFile(name);
  return compressedTokens;
}

/** Sends a whole file through a sink that takes its time: while it has one piece, the next is read and summed. */
async function sendThrough(
  context: TransferContext,
  file: OpenFile,
  out: { tokens: TokenSink; progress: FileProgress },
  from: number,
): Promise<void> {
  const { writer, sums, slice } = context;
  const { tokens, progress } = out;
  const source = { file, progress, pace: new ReadPace() };
  const memory = context.delta.window(Math.min(2 * PIECE_BYTES, file.sizeBytes - from));
  let settled = Promise.resolve();
  try {
    for (let position = from, start = 0; position < file.sizeBytes; position += PIECE_BYTES) {
      const piece = memory.subarray(start, start + Math.min(PIECE_BYTES, file.sizeBytes - position));
      start = PIECE_BYTES - start;
      await readNext(source, piece, position);
      sums.file.update(piece);
      await settled;
      if (writer.pressure) await writer.drain();
      if (slice.expired) await slice.yield(true);
      tokens.literal(piece);
      settled = Promise.resolve(tokens.settle());
      // Whoever awaits it hears of a failure; until then nobody does.
      settled.catch(() => {});
    }
  } finally {
    // After an error the compressor still reads its piece.
    await settled;
  }
}

function sendSmall(context: TransferContext, file: OpenFile, progress: FileProgress, from: number): void {
  for (let position = from; position < file.sizeBytes; position += CHUNK_SIZE) {
    const room = reserveLiteral(context.writer, Math.min(CHUNK_SIZE, file.sizeBytes - position));
    readPadded(file, room, position, progress);
    context.sums.file.update(room);
  }
}

/**
 * Sends chunk after chunk. What the page cache holds is read in this tick, which takes a twentieth of a millisecond; as soon as a
 * read was slow, the thread pool reads one chunk ahead, so that disk, digest and socket work side by side and nobody waits.
 */
async function sendLarge(
  context: TransferContext,
  file: OpenFile,
  progress: FileProgress,
  from: number,
): Promise<void> {
  const { writer, slice } = context;
  const pace = new ReadPace();
  let next: Promise<Chunk> | null = readAhead(file, from, progress, pace);
  try {
    for (let position = from; position < file.sizeBytes; position += CHUNK_DATA) {
      const chunk = next === null ? readChunkNow(file, position, progress, pace) : await next;
      next = pace.isSlow ? readAhead(file, position + CHUNK_DATA, progress, pace) : null;
      const length = Math.min(CHUNK_DATA, file.sizeBytes - position);
      sumChunk(context, chunk, length);
      writer.putLiteralChunk(chunk, length);
      if (writer.pressure) await writer.drain();
      if (slice.expired) await slice.yield(true);
    }
  } finally {
    // After an error the read ahead still writes into its chunk: wait for it before the file is closed.
    if (next !== null) releaseChunk(await next);
  }
}

/** Begins to read the chunk at `position`; null behind the end of the file. */
function readAhead(file: OpenFile, position: number, progress: FileProgress, pace: ReadPace): Promise<Chunk> | null {
  if (position >= file.sizeBytes) return null;
  const startedMs = performance.now();
  return readChunk(file, position, progress).finally(() => pace.note(startedMs));
}

function readChunkNow(file: OpenFile, position: number, progress: FileProgress, pace: ReadPace): Chunk {
  const chunk = acquireChunk();
  const startedMs = performance.now();
  const length = Math.min(CHUNK_DATA, file.sizeBytes - position);
  let filled = 0;
  let error: FileError | null = null;
  try {
    for (let count = 1; filled < length && count > 0; filled += count) {
      count = file.readvSync(slotsBetween(chunk, filled, length), position + filled);
    }
  } catch (thrown) {
    error = asFileError(thrown);
  }
  if (filled < length) for (const part of slotsBetween(chunk, filled, length)) progress.pad(part, 0, error);
  pace.note(startedMs);
  return chunk;
}

function sumChunk({ sums }: TransferContext, chunk: Chunk, length: number): void {
  for (let slot = 0; slot * CHUNK_SIZE < length; slot++) {
    const data = chunk.slots[slot]!;
    const size = Math.min(CHUNK_SIZE, length - slot * CHUNK_SIZE);
    sums.file.update(size === CHUNK_SIZE ? data : data.subarray(0, size));
  }
}

async function readChunk(file: OpenFile, position: number, progress: FileProgress): Promise<Chunk> {
  const chunk = acquireChunk();
  const length = Math.min(CHUNK_DATA, file.sizeBytes - position);
  let filled = 0;
  let error: FileError | null = null;
  try {
    while (filled < length) {
      const count = await file.readv(slotsBetween(chunk, filled, length), position + filled);
      if (count === 0) break;
      filled += count;
    }
  } catch (thrown) {
    error = asFileError(thrown);
  }
  if (filled < length) for (const part of slotsBetween(chunk, filled, length)) progress.pad(part, 0, error);
  return chunk;
}

/** The memory of a chunk's slots that holds data bytes `from` to `to`. */
function slotsBetween(chunk: Chunk, from: number, to: number): readonly Buffer[] {
  if (from === 0 && to === CHUNK_DATA) return chunk.slots;
  const parts: Buffer[] = [];
  for (let slot = Math.floor(from / CHUNK_SIZE); slot * CHUNK_SIZE < to; slot++) {
    const start = slot * CHUNK_SIZE;
    parts.push(chunk.slots[slot]!.subarray(Math.max(0, from - start), Math.min(CHUNK_SIZE, to - start)));
  }
  return parts;
}

/** Adds the first `to` bytes of a file to its sum without sending them. */
async function sumRange(context: TransferContext, file: OpenFile, progress: FileProgress, to: number): Promise<void> {
  for (let position = 0; position < to; position += CHUNK_DATA) {
    const chunk = await readChunk(file, position, progress);
    for (const part of slotsBetween(chunk, 0, Math.min(CHUNK_DATA, to - position))) context.sums.file.update(part);
    releaseChunk(chunk);
    await breathe(context);
  }
}

/** The sum as sent: deliberately wrong after a read error, so that the client asks again or reports (3-transfer.md 2.6). */
function finalSum(digest: Buffer, isSpoiled: boolean): Buffer {
  if (!isSpoiled) return digest;
  const isZero = digest.every((byte) => byte === 0);
  const wrong = Buffer.alloc(digest.length);
  if (isZero) wrong[wrong.length - 1] = 1;
  return wrong;
}
