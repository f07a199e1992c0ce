/** Shared by the block search tests: makes sums as a client does, drives a search, expands its output. */

import { weakSum } from '../../../src/checksum/rolling.ts';
import type { TransferSums } from '../../../src/checksum/sums.ts';
import { DEFAULT_LIMITS, type Limits } from '../../../src/limits.ts';
import { TimeSlice } from '../../../src/slice.ts';
import { BlockSums } from '../../../src/transfer/block-sums.ts';
import { DeltaState } from '../../../src/transfer/delta.ts';
import { BlockMatcher, type MatchOptions, SEARCH } from '../../../src/transfer/match.ts';

export type Op = ['lit', Buffer] | ['match', number];

export interface SearchSetup {
  sums: BlockSums;
  transferSums: TransferSums;
  file: Buffer;
  options?: Partial<MatchOptions>;
  /** Most file bytes added to the window at once. */
  piece?: number;
  /** Whether window and bitmap lie in the kernel's memory, which `loadChecksums` makes. */
  inArena?: boolean;
}

export interface SearchResult {
  ops: Op[];
  matcher: BlockMatcher;
  /** File offset of each match. */
  offsets: number[];
  /** Most bytes that were in the window but not yet in the sink when more were asked for. */
  heldBack: number;
}

/** Sums of `basis` as a client sends them. */
export async function clientSums(
  basis: Buffer,
  transferSums: TransferSums,
  shape: { blockLength: number; strongLength?: number; blockVariant?: number; limits?: Limits },
): Promise<BlockSums> {
  const { blockLength, strongLength = 4, blockVariant = 0, limits = DEFAULT_LIMITS } = shape;
  const blocks = await transferSums.blocks();
  const count = Math.ceil(basis.length / blockLength);
  const head = { count, blockLength, strongLength, remainder: basis.length % blockLength };
  const wire = Buffer.alloc(count * (4 + strongLength));
  for (let i = 0; i < count; i++) {
    const from = i * blockLength;
    const to = Math.min(basis.length, from + blockLength);
    wire.writeUInt32LE(weakSum(basis, from, to), i * (4 + strongLength));
    blocks.sum(basis.subarray(from, to), blockVariant).copy(wire, i * (4 + strongLength) + 4, 0, strongLength);
  }
  const sums = new BlockSums(head, { digestLength: transferSums.digestLength, limits });
  sums.append(wire);
  return sums;
}

/** Runs a whole search the way the sender does. */
export async function search({
  sums,
  transferSums,
  file,
  options,
  piece = 2 ** 18,
  inArena = false,
}: SearchSetup): Promise<SearchResult> {
  const ops: Op[] = [];
  const offsets: number[] = [];
  const slice = new TimeSlice();
  const state = new DeltaState();
  const sink = {
    literal(from: number, to: number): void {
      ops.push(['lit', Buffer.from(window.bytes.subarray(from, to))]);
    },
    match(block: number, from: number): void {
      ops.push(['match', block]);
      offsets.push(window.start + from);
    },
  };
  const defaults = {
    fileLength: file.length,
    inPlace: false,
    limits: DEFAULT_LIMITS,
    seed: 0x2545f491,
    blockVariant: null,
    bitmap: inArena ? state.bitmap() : null,
  };
  if (inArena && defaults.bitmap === null) throw new Error('the arena has nothing left to lend');
  const matcher = await BlockMatcher.create(sums, transferSums, sink, { ...defaults, ...options, slice });
  const bytes = inArena ? state.window(matcher.windowBytes) : Buffer.alloc(matcher.windowBytes);
  const window = { bytes, start: 0, length: 0 };
  let heldBack = 0;
  for (let state = matcher.search(window, slice); state !== SEARCH.DONE; state = matcher.search(window, slice)) {
    if (state === SEARCH.YIELD) {
      await slice.yield();
      continue;
    }
    heldBack = Math.max(heldBack, window.start + window.length - matcher.keepFrom);
    const dropped = matcher.keepFrom - window.start;
    window.bytes.copyWithin(0, dropped, window.length);
    window.start += dropped;
    window.length -= dropped;
    const from = window.start + window.length;
    window.length += file.copy(window.bytes, window.length, from, from + piece);
  }
  state.release();
  return { ops, matcher, offsets, heldBack };
}

/** What the receiver makes of the operations. */
export function expand(ops: readonly Op[], basis: Buffer, blockLength: number): Buffer {
  return Buffer.concat(
    ops.map(([kind, value]) =>
      kind === 'lit' ? value : basis.subarray((value as number) * blockLength, ((value as number) + 1) * blockLength),
    ) as Buffer[],
  );
}

/** Operations with neighbouring literals joined. */
export function joined(ops: readonly Op[]): Op[] {
  const result: Op[] = [];
  for (const op of ops) {
    const before = result.at(-1);
    if (op[0] === 'lit' && before?.[0] === 'lit') before[1] = Buffer.concat([before[1], op[1]]);
    else result.push([...op] as Op);
  }
  return result;
}

/** Reproducible bytes that do not repeat. */
export function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 2 * seed + 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state >>> 11;
  }
  return bytes;
}
