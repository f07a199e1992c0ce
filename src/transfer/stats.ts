/** The end-of-run statistics and the echo of deletion counts (3-transfer.md 8.2, 8.3). */

import { ProtocolError } from '../errors.ts';
import { NDX_DEL_STATS } from '../wire/constants.ts';
import { MAX_NDX_BYTES, type NdxEncoder } from '../wire/ndx.ts';
import type { ByteReader } from '../wire/reader.ts';
import type { FrameWriter } from '../wire/writer.ts';

/** Bytes of the session since its handshake. */
export interface Traffic {
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

export interface RunStatistics extends Traffic {
  readonly totalSizeBytes: number;
  readonly listBuildMs: number;
}

/** Kinds of deleted entries that a client counts: files, directories, links, devices, specials. */
const DELETION_COUNTS = 5;
const DELETION_MAX = 2 ** 28;

/** Writes the block of three (below protocol 29) or five values. */
export function putStatistics(writer: FrameWriter, protocol: number, run: RunStatistics): void {
  const values = [run.bytesRead, run.bytesWritten, run.totalSizeBytes];
  if (protocol >= 29) values.push(Math.max(1, run.listBuildMs), 0);
  for (const value of values) {
    if (protocol >= 30) writer.putVarlong(value, 3);
    else writer.putLongint(value);
  }
}

/** Reads the client's deletion counts and returns them at once: it prints what comes back. */
export async function echoDeletionCounts(reader: ByteReader, writer: FrameWriter, encoder: NdxEncoder): Promise<void> {
  const counts: number[] = [];
  for (let i = 0; i < DELETION_COUNTS; i++) {
    const count = await reader.readVarint('deletion count');
    if (count < 0 || count > DELETION_MAX) throw new ProtocolError('deletion count out of range');
    counts.push(count);
  }
  writer.putWith(MAX_NDX_BYTES, (buffer, offset) => encoder.encode(buffer, offset, NDX_DEL_STATS));
  for (const count of counts) writer.putVarint(count);
}
