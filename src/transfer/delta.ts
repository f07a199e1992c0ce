/** One file against the client's block sums: window in, tokens out (3-transfer.md 4). */

import { randomInt } from 'node:crypto';
import { arena } from '../arena.ts';
import { breathe } from '../flist/context.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { ReadPace } from '../vfs/read-pace.ts';
import { borrowReadWindow, READ_WINDOW_BYTES, returnReadWindow } from '../vfs/read-window.ts';
import { CF_INPLACE_PARTIAL_DIR, FNAMECMP_FNAME, FNAMECMP_PARTIAL_DIR } from '../wire/constants.ts';
import type { TransferContext } from './context.ts';
import { BlockMatcher, type MatchSink, type MatchWindow, SEARCH } from './match.ts';
import { type FileProgress, readNext, type SequentialSource } from './padded-read.ts';
import type { SendPlan } from './send-file.ts';
import type { TokenSink } from './tokens.ts';

/** Enough for 32 768 blocks, which a file of 1 GB has. */
const BITMAP_BYTES = 256 * 1024;
/** Bitmaps that the arena lends: 4 MiB. */
const MOST_BITMAPS = 16;

/** What one session keeps from file to file. */
export class DeltaState {
  #memory: Buffer = Buffer.alloc(0);
  /** What the arena has lent. */
  #lent: Buffer | null = null;
  #bitmap: Buffer | null = null;
  /** What the block sums of the latest request occupy. */
  sumBytes = 0;
  /** Form of block sum that has matched (3-transfer.md 3.5); null while unknown. */
  blockVariant: number | null = null;

  /** Window memory of at least `bytes`; the same each time. */
  window(bytes: number): Buffer {
    // Large enough for two pieces of a file, or one and the longest block from protocol 30 on.
    if (bytes <= READ_WINDOW_BYTES) this.#lent ??= borrowReadWindow();
    if (bytes <= READ_WINDOW_BYTES && this.#lent !== null) return this.#lent.subarray(0, bytes);
    if (this.#memory.length < bytes) this.#memory = Buffer.allocUnsafeSlow(bytes);
    return this.#memory.subarray(0, bytes);
  }

  /** Memory for the bitmap of an index, where the checksums reach it; the same each time, or null. */
  bitmap(): Buffer | null {
    this.#bitmap ??= arena.lend(BITMAP_BYTES, MOST_BITMAPS);
    return this.#bitmap;
  }

  /** Gives its memory back. */
  release(): void {
    if (this.#lent !== null) returnReadWindow(this.#lent);
    if (this.#bitmap !== null) arena.giveBack(this.#bitmap);
    this.#lent = null;
    this.#bitmap = null;
  }
}

/** Sends the tokens of a file without their end mark, and adds its content to the whole-file sum. */
export async function sendDelta(
  context: TransferContext,
  file: OpenFile,
  plan: SendPlan,
  out: { tokens: TokenSink; progress: FileProgress },
): Promise<void> {
  const { delta, slice, limits, sums } = context;
  const { tokens, progress } = out;
  let bytes: Buffer = Buffer.alloc(0);
  const matcher = await BlockMatcher.create(
    plan.blockSums,
    sums,
    matchSink(context, tokens, () => bytes),
    {
      fileLength: file.sizeBytes,
      inPlace: overwritesBasis(context, plan),
      limits,
      seed: randomInt(2 ** 32),
      blockVariant: delta.blockVariant,
      bitmap: delta.bitmap(),
      slice,
    },
  );
  bytes = delta.window(Math.min(matcher.windowBytes, file.sizeBytes));
  const window: MatchWindow = { bytes, start: 0, length: 0 };
  const source: SequentialSource = { file, progress, pace: new ReadPace() };
  await fillWindow(source, window, matcher.keepFrom);
  for (let state = matcher.search(window, slice); state !== SEARCH.DONE; state = matcher.search(window, slice)) {
    // The window moves only when nothing points into it any more.
    await tokens.settle();
    if (state === SEARCH.MORE) await fillWindow(source, window, matcher.keepFrom);
    await breathe(context);
  }
  await tokens.settle();
  delta.blockVariant = matcher.blockVariant;
}

function matchSink({ sums }: TransferContext, tokens: TokenSink, bytes: () => Buffer): MatchSink {
  return {
    literal(from, to) {
      const data = bytes().subarray(from, to);
      sums.file.update(data);
      tokens.literal(data);
    },
    match(block, from, to) {
      const data = bytes().subarray(from, to);
      sums.file.update(data);
      tokens.match(block, data);
    },
  };
}

/** Drops what lies before `keepFrom` and reads on from where the window ends. */
async function fillWindow(source: SequentialSource, window: MatchWindow, keepFrom: number): Promise<void> {
  const kept = window.start + window.length - keepFrom;
  window.bytes.copyWithin(0, keepFrom - window.start, keepFrom - window.start + kept);
  window.start = keepFrom;
  const position = keepFrom + kept;
  const room = window.bytes.subarray(
    kept,
    kept + Math.min(window.bytes.length - kept, source.file.sizeBytes - position),
  );
  await readNext(source, room, position);
  window.length = kept + room.length;
}

/** Whether blocks behind the write position are gone at the client (3-transfer.md 4.3). */
function overwritesBasis(context: TransferContext, { request, isRedo }: SendPlan): boolean {
  const { protocol, options, compatFlags } = context;
  const inPlace = options.inplace || options.appendMode > 0;
  if (protocol < 29) return inPlace && (!options.backup || isRedo);
  if (inPlace && request.basisType === FNAMECMP_FNAME) return true;
  return request.basisType === FNAMECMP_PARTIAL_DIR && (compatFlags & CF_INPLACE_PARTIAL_DIR) !== 0;
}
