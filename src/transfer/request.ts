/**
 * One request of the client's generator, up to its sum head (3-transfer.md 2.1).
 *
 *   P >= 29: iflags:u16 [basis type:u8] [extra name:vstring]      P <= 28: nothing, a transfer is implied
 */

import type { Limits } from '../limits.ts';
import { FNAMECMP_FNAME, ITEM_BASIS_TYPE_FOLLOWS, ITEM_TRANSFER, ITEM_XNAME_FOLLOWS } from '../wire/constants.ts';
import { MAX_NDX_BYTES, type NdxEncoder } from '../wire/ndx.ts';
import type { ByteReader } from '../wire/reader.ts';
import type { FrameWriter } from '../wire/writer.ts';

export interface Request {
  readonly ndx: number;
  /** ITEM_* bits. */
  readonly iflags: number;
  /** FNAMECMP_* value; 0x80 where none was sent. */
  readonly basisType: number;
  /** SECURITY: echoed, never opened and never logged raw (CVE-2017-17433). */
  readonly xname: Buffer | null;
}

/** Reads what follows an index. @throws ProtocolError, PeerGone */
export async function readRequest(reader: ByteReader, ndx: number, protocol: number, limits: Limits): Promise<Request> {
  if (protocol < 29) return { ndx, iflags: ITEM_TRANSFER, basisType: FNAMECMP_FNAME, xname: null };
  const iflags = await reader.readUint16('item flags');
  const basisType = iflags & ITEM_BASIS_TYPE_FOLLOWS ? await reader.readByte('basis type') : FNAMECMP_FNAME;
  const xname =
    iflags & ITEM_XNAME_FOLLOWS ? await reader.readVstring('extra name', limits.xnameBytes, 'xnameBytes') : null;
  return { ndx, iflags, basisType, xname };
}

/** Repeats a request to the client's receiver, field by field. */
export function putItem(writer: FrameWriter, encoder: NdxEncoder, request: Request, protocol: number): void {
  writer.putWith(MAX_NDX_BYTES, (buffer, offset) => encoder.encode(buffer, offset, request.ndx));
  if (protocol < 29) return;
  writer.putUint16(request.iflags);
  if (request.iflags & ITEM_BASIS_TYPE_FOLLOWS) writer.putByte(request.basisType);
  if (request.xname !== null) writer.putVstring(request.xname);
}
