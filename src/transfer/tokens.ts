/**
 * Plain token streams (3-transfer.md 5.1).
 *
 *   int n > 0  n literal bytes follow, at most CHUNK_SIZE      int -(i+1)  copy block i      int 0  end
 */

import { CHUNK_SIZE } from '../wire/constants.ts';
import { encodeInt32 } from '../wire/ints.ts';
import type { FrameWriter } from '../wire/writer.ts';

/** Literal bytes, copied into the output. */
export function putLiteral(writer: FrameWriter, data: Uint8Array): void {
  for (let done = 0; done < data.length; done += CHUNK_SIZE) {
    const size = Math.min(data.length - done, CHUNK_SIZE);
    writer.putInt32(size);
    writer.putBytes(data.subarray(done, done + size));
  }
}

/**
 * Room for a literal token that the caller fills in this tick.
 * @param size 1…CHUNK_SIZE.
 */
export function reserveLiteral(writer: FrameWriter, size: number): Buffer {
  const room = writer.reserve(4 + size);
  encodeInt32(room, 0, size);
  return room.subarray(4);
}

export function putMatch(writer: FrameWriter, blockIndex: number): void {
  writer.putInt32(-(blockIndex + 1));
}

export function putEndOfTokens(writer: FrameWriter): void {
  writer.putInt32(0);
}
