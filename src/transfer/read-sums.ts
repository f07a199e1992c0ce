/** Reads the sum head of a request and the block sums behind it (3-transfer.md 3.1). */

import { BlockSums } from './block-sums.ts';
import type { TransferContext } from './context.ts';
import { parseSumHead, SUM_HEAD_BYTES } from './sum-head.ts';

/**
 * @param headOnly append mode: no sums follow the head.
 * @throws ProtocolError, LimitError, PeerGone
 */
export async function readBlockSums(context: TransferContext, headOnly: boolean): Promise<BlockSums> {
  const { reader, protocol, limits, sums } = context;
  if (reader.available < SUM_HEAD_BYTES) await reader.fill(SUM_HEAD_BYTES, 'sum head');
  const bytes = reader.takeAvailable(SUM_HEAD_BYTES);
  const head = parseSumHead(bytes, { protocol, digestLength: sums.digestLength, limits });
  const blockSums = new BlockSums(head, { digestLength: sums.digestLength, limits });
  context.delta.sumBytes = 0;
  if (headOnly || blockSums.remainingBytes === 0) return blockSums;
  context.onSumsAwaited(true);
  while (blockSums.remainingBytes > 0) {
    blockSums.append(await reader.readSome(blockSums.remainingBytes, 'block sums'));
    context.delta.sumBytes = blockSums.keptBytes;
    if (context.slice.expired) await context.slice.yield();
  }
  context.onSumsAwaited(false);
  return blockSums;
}
