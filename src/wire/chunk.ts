/** Pooled output memory, laid out so that file data can be read straight into frames of literal tokens. */

import { arena } from '../arena.ts';
import { CHUNK_SIZE } from './constants.ts';

/** Bytes of frame header before a frame's payload. */
export const FRAME_HEADER = 4;

/** Bytes of the int before a literal token's data. */
export const TOKEN_HEADER = 4;

/** Literal tokens that one chunk holds: 256 KiB a write keeps turns of the event loop rare. */
export const SLOTS = 8;

const SLOT_BYTES = FRAME_HEADER + TOKEN_HEADER + CHUNK_SIZE;

/** Size of a chunk in bytes. */
export const CHUNK_BYTES = SLOTS * SLOT_BYTES;

/** Chunks kept for reuse by all sessions: 8 MiB. */
const POOL_SIZE = 32;

/** One piece of output memory. */
export class Chunk {
  readonly bytes: Buffer;
  /** The data parts of SLOTS literal frames, in order, for a scatter read. */
  readonly slots: readonly Buffer[];

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.slots = Array.from({ length: SLOTS }, (_, i) => {
      const start = i * SLOT_BYTES + FRAME_HEADER + TOKEN_HEADER;
      return bytes.subarray(start, start + CHUNK_SIZE);
    });
  }
}

/** Offset of the frame header of slot `i`. */
export function slotOffset(i: number): number {
  return i * SLOT_BYTES;
}

// Module-level on purpose: the pool is what keeps memory flat over all sessions of the process.
const pool: Chunk[] = [];

/** A session that is cut off leaves its last chunk behind: what the arena has lent for it must come back all the same. */
const leftBehind = new FinalizationRegistry<Buffer>((piece) => arena.giveBack(piece));

export function acquireChunk(): Chunk {
  const pooled = pool.pop();
  if (pooled !== undefined) return pooled;
  const piece = arena.lend(CHUNK_BYTES, POOL_SIZE);
  const chunk = new Chunk(piece ?? Buffer.allocUnsafeSlow(CHUNK_BYTES));
  if (piece !== null) leftBehind.register(chunk, piece);
  return chunk;
}

/** Returns a chunk whose bytes nobody reads any more. */
export function releaseChunk(chunk: Chunk): void {
  // Of the arena there are no more than the pool is to keep, and one that is dropped would never come back.
  if (pool.length < POOL_SIZE || arena.holds(chunk.bytes)) pool.push(chunk);
}
