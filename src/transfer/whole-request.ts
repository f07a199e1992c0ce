/**
 * The request that a fresh copy consists of: a file that the client does not have, named by an index of one byte. When all of it
 * has arrived it is read in one go, without a promise; sender.ts asks here first (3-transfer.md 2.1).
 *
 *   delta:u8 iflags:u16 sum head: 16 zero bytes
 */

import { ITEM_BASIS_TYPE_FOLLOWS, ITEM_REPORT_XATTR, ITEM_TRANSFER, ITEM_XNAME_FOLLOWS } from '../wire/constants.ts';
import type { NdxDecoder } from '../wire/ndx.ts';
import type { ByteReader } from '../wire/reader.ts';
import type { TransferContext } from './context.ts';
import { SUM_HEAD_BYTES, type SumHead } from './sum-head.ts';

const HEAD_AT = 3;
const REQUEST_BYTES = HEAD_AT + SUM_HEAD_BYTES;

/** Flags that bring more fields or another order of things. */
const NOT_SIMPLE = ITEM_BASIS_TYPE_FOLLOWS | ITEM_XNAME_FOLLOWS | ITEM_REPORT_XATTR;

/** Whether a session can be served this way at all. */
export function allowsWholeRequests({ options, protocol, compressedTokens }: TransferContext): boolean {
  return protocol >= 30 && compressedTokens === null && !options.dryRun && options.appendMode === 0;
}

/** Takes such a request off the stream. @returns its index and flags; null, with nothing taken, when the next bytes are no such request. */
export function takeWholeRequest(reader: ByteReader, decoder: NdxDecoder): { ndx: number; iflags: number } | null {
  if (reader.available < REQUEST_BYTES) return null;
  const ndx = decoder.peekShort(reader.peekByte(0));
  if (ndx < 0) return null;
  const iflags = reader.peekByte(1) | (reader.peekByte(2) << 8);
  if ((iflags & (NOT_SIMPLE | ITEM_TRANSFER)) !== ITEM_TRANSFER) return null;
  for (let at = HEAD_AT; at < REQUEST_BYTES; at++) if (reader.peekByte(at) !== 0) return null;
  reader.takeAvailable(REQUEST_BYTES);
  decoder.acceptShort(ndx);
  return { ndx, iflags };
}

/** Sum head of a file that the client does not have. */
export const NO_BASIS: SumHead = { count: 0, blockLength: 0, strongLength: 0, remainder: 0 };
