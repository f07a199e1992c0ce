/**
 * The binary preamble: compat flags, name lists, seed (1-session.md 5). Nothing of it is multiplexed.
 *
 *   S→ flags:varint [checksums:vstring] [compressors:vstring]   C→ [checksums] [compressors]   S→ seed:int
 */

import { randomInt } from 'node:crypto';
import { advertisedChecksums, chooseChecksum, impliedListChecksum, impliedVariant } from '../checksum/choose.ts';
import type { ChecksumName, SumVariant } from '../checksum/sums.ts';
import {
  advertisedCompressions,
  type Compression,
  type CompressionName,
  type CompressionTools,
  chooseCompression,
  resolveCompression,
} from '../compress/choose.ts';
import { ProtocolError } from '../errors.ts';
import type { ServerOptions } from '../options/server-options.ts';
import {
  CF_AVOID_XATTR_OPTIM,
  CF_CHKSUM_SEED_FIX,
  CF_ID0_NAMES,
  CF_INC_RECURSE,
  CF_INPLACE_PARTIAL_DIR,
  CF_SAFE_FLIST,
  CF_SYMLINK_TIMES,
  CF_VARINT_FLIST_FLAGS,
} from '../wire/constants.ts';
import type { ByteReader } from '../wire/reader.ts';
import type { FrameWriter } from '../wire/writer.ts';

/** Longest list of names (1-session.md 5.4). */
const NAME_LIST_BYTES = 255;

/** Compat flags that only echo a capability letter of the client. */
const ECHOED: readonly (readonly [letter: string, flag: number])[] = [
  ['f', CF_SAFE_FLIST],
  ['x', CF_AVOID_XATTR_OPTIM],
  ['C', CF_CHKSUM_SEED_FIX],
  ['I', CF_INPLACE_PARTIAL_DIR],
  ['v', CF_VARINT_FLIST_FLAGS],
  ['u', CF_ID0_NAMES],
];

/** What both sides have agreed on. */
export interface Agreement {
  /** CF_* bits; 0 below protocol 30. */
  readonly compatFlags: number;
  readonly transferSum: SumVariant;
  readonly listSum: ChecksumName;
  /** Null for plain tokens. */
  readonly compression: Compression | null;
  /** Signed 32-bit. */
  readonly checksumSeed: number;
}

/** Runs the preamble. @throws ProtocolError when the client's lists have nothing in common with ours. */
export async function exchangePreamble(
  reader: ByteReader,
  writer: FrameWriter,
  session: { readonly options: ServerOptions; readonly protocol: number; readonly tools: CompressionTools },
): Promise<Agreement> {
  const { options, protocol, tools } = session;
  const compatFlags = protocol >= 30 ? compatFlagsFor(options) : 0;
  if (protocol >= 30) writer.putVarint(compatFlags);
  const negotiates = (compatFlags & CF_VARINT_FLIST_FLAGS) !== 0;
  const sums = advertisedChecksums();
  const compressions = advertisedCompressions(tools);
  const negotiatesSum = negotiates && options.checksumChoice === null;
  const negotiatesCompression = negotiates && options.compression?.choice === 'negotiate';
  if (negotiatesSum) writer.putVstring(Buffer.from(sums.join(' ')));
  if (negotiatesCompression) writer.putVstring(Buffer.from(compressions.join(' ')));
  const clientSums = negotiatesSum ? await reader.readVstring('checksum list', NAME_LIST_BYTES) : null;
  const clientCompressions = negotiatesCompression
    ? await reader.readVstring('compression list', NAME_LIST_BYTES)
    : null;
  const checksumSeed = options.checksumSeed !== 0 ? options.checksumSeed : randomInt(1, 2 ** 31 - 1);
  writer.putInt32(checksumSeed);
  return {
    compatFlags,
    checksumSeed,
    ...chosenSums(options, protocol, compatFlags, clientSums),
    compression: chosenCompression(options, clientCompressions, compressions),
  };
}

function compatFlagsFor(options: ServerOptions): number {
  const letters = options.capabilities ?? '';
  let flags = CF_SYMLINK_TIMES;
  // With --files-from, every name of a list of millions would have to wait for the sub-list of its parents.
  const canRecurse = options.recurse && !options.useQsort && options.filesFrom === null;
  if (canRecurse && letters.includes('i')) flags |= CF_INC_RECURSE;
  for (const [letter, flag] of ECHOED) if (letters.includes(letter)) flags |= flag;
  return flags;
}

function chosenSums(
  options: ServerOptions,
  protocol: number,
  compatFlags: number,
  clientSums: Buffer | null,
): Pick<Agreement, 'transferSum' | 'listSum'> {
  const implied = impliedVariant(protocol, (compatFlags & CF_CHKSUM_SEED_FIX) !== 0);
  const impliedList = impliedListChecksum(protocol);
  if (clientSums !== null) {
    const name = chooseChecksum(clientSums, advertisedChecksums());
    if (name === null) throw new ProtocolError('no checksum in common');
    return { transferSum: name, listSum: name };
  }
  const { checksumChoice } = options;
  if (checksumChoice === null) return { transferSum: implied, listSum: impliedList };
  return {
    transferSum: checksumChoice.transfer === 'auto' ? implied : checksumChoice.transfer,
    listSum: checksumChoice.list === 'auto' ? impliedList : checksumChoice.list,
  };
}

/** The format of the token stream, which also depends on the level (3-transfer.md 7.2). */
function chosenCompression(
  { compression }: ServerOptions,
  clientNames: Buffer | null,
  ours: readonly CompressionName[],
): Compression | null {
  if (compression === null) return null;
  if (clientNames === null) {
    return resolveCompression(compression.choice === 'negotiate' ? 'zlib' : compression.choice, compression.level);
  }
  const name = chooseCompression(clientNames, ours);
  if (name === null) throw new ProtocolError('no compression in common');
  return resolveCompression(name, compression.level);
}
