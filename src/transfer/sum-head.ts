/**
 * Sum head, in requests and replies (3-transfer.md 3.1): count:int32 blockLength:int32 strongLength:int32 remainder:int32.
 * The request reader parses it, the reply writer echoes it.
 */

import { LimitError, ProtocolError } from '../errors.ts';
import type { Limits } from '../limits.ts';

/** Bytes of a sum head at protocol 27 and up. */
export const SUM_HEAD_BYTES = 16;

/** Largest block length of a protocol (3-transfer.md 3.2). */
const MAX_BLOCK_LENGTH = 131_072;
const MAX_OLD_BLOCK_LENGTH = 2 ** 29;
/** Clients 3.2.0 to 3.4.3 announce 16 bytes in a redo even when the digest has 8 (3-transfer.md 3.3). */
const REDO_STRONG_LENGTH = 16;

/** What a client says about its old file. `count` 0 asks for the whole file, whatever the other fields hold. */
export interface SumHead {
  readonly count: number;
  /** Bytes of each block; at least 1 when `count` is positive. */
  readonly blockLength: number;
  /** Bytes of each strong sum on the wire; may exceed the digest, then only the digest's bytes count. */
  readonly strongLength: number;
  /** Bytes of the last block, 0 when it is a full one. */
  readonly remainder: number;
}

/** What bounds the fields of a head. */
export interface SumHeadRules {
  readonly protocol: number;
  /** Wire length of the transfer checksum. */
  readonly digestLength: number;
  readonly limits: Pick<Limits, 'blockSumsRefused'>;
}

/**
 * Parses the first 16 bytes of `bytes` and checks every field (3-transfer.md 3.2).
 * @throws ProtocolError for a field out of range, LimitError when the count reaches `blockSumsRefused`.
 */
export function parseSumHead(bytes: Buffer, rules: SumHeadRules): SumHead {
  const count = bytes.readInt32LE(0);
  const blockLength = bytes.readInt32LE(4);
  const strongLength = bytes.readInt32LE(8);
  const remainder = bytes.readInt32LE(12);
  checkRange('block count', count, 2 ** 31 - 1);
  if (count >= rules.limits.blockSumsRefused) throw new LimitError('blockSumsRefused', 'too many block sums');
  checkRange('block length', blockLength, rules.protocol >= 30 ? MAX_BLOCK_LENGTH : MAX_OLD_BLOCK_LENGTH);
  // SECURITY: a zero block length makes naive searches divide by zero or loop for ever (CVE-2026-53792).
  if (count > 0 && blockLength === 0) throw new ProtocolError('invalid block length');
  checkRange('strong sum length', strongLength, Math.max(rules.digestLength, REDO_STRONG_LENGTH));
  checkRange('block remainder', remainder, blockLength);
  return { count, blockLength, strongLength, remainder };
}

function checkRange(field: string, value: number, max: number): void {
  if (value < 0 || value > max) throw new ProtocolError(`invalid ${field}`);
}

/** Writes `head` at `offset`; returns the offset after it. */
export function writeSumHead(buffer: Buffer, offset: number, head: SumHead): number {
  buffer.writeInt32LE(head.count, offset);
  buffer.writeInt32LE(head.blockLength, offset + 4);
  buffer.writeInt32LE(head.strongLength, offset + 8);
  return buffer.writeInt32LE(head.remainder, offset + 12);
}

/** The head of the reply: what came in, but never a strong length above the digest's (3-transfer.md 3.3). */
export function echoedSumHead(head: SumHead, digestLength: number): SumHead {
  return head.strongLength <= digestLength ? head : { ...head, strongLength: digestLength };
}

/** Length of the old file that a head describes, in bytes; up to 2^60, so inexact beyond 2^53. */
export function basisLength(head: SumHead): number {
  if (head.count === 0) return 0;
  return head.count * head.blockLength - (head.remainder > 0 ? head.blockLength - head.remainder : 0);
}
