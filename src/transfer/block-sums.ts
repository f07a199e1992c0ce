/**
 * The block sums of one request, stored as they arrive: count × { weak:uint32 strong:bytes[strongLength] }
 * (3-transfer.md 3.1). The request reader appends bytes, block-index.ts and match.ts look sums up.
 */

import { Bug } from '../errors.ts';
import { limitHits } from '../limit-hits.ts';
import type { LimitName, Limits } from '../limits.ts';
import type { SumHead } from './sum-head.ts';

/** Blocks per storage chunk: 24 to 96 KiB each, so memory follows what was received and nothing is ever copied. */
const CHUNK_BLOCKS = 4096;
const CHUNK_SHIFT = 12;
const CHUNK_MASK = CHUNK_BLOCKS - 1;
const WEAK_BYTES = 4;

/** What decides whether sums are kept. */
export interface BlockSumsRules {
  /** Wire length of the transfer checksum. */
  readonly digestLength: number;
  readonly limits: Pick<Limits, 'blockSums' | 'blockSumBytes' | 'matchBlockBytes'>;
}

export class BlockSums {
  readonly head: SumHead;
  /** False when the sums are beyond our bounds: their bytes are counted and dropped, and the file is sent whole. */
  readonly usable: boolean;
  /** Blocks of full length; the short last one, if any, is number `fullCount`. */
  readonly fullCount: number;
  /** Bytes of the short last block, 0 when there is none. */
  readonly shortLength: number;
  readonly #recordBytes: number;
  readonly #compared: number;
  readonly #chunks: Buffer[] = [];
  #received = 0;

  constructor(head: SumHead, rules: BlockSumsRules) {
    this.head = head;
    this.shortLength = head.remainder === head.blockLength ? 0 : head.remainder;
    this.fullCount = head.count - (head.count > 0 && this.shortLength > 0 ? 1 : 0);
    this.#recordBytes = WEAK_BYTES + head.strongLength;
    this.#compared = Math.min(head.strongLength, rules.digestLength);
    this.usable = isUsable(head, rules);
  }

  /** Bytes of sums still to come. */
  get remainingBytes(): number {
    return this.head.count * this.#recordBytes - this.#received;
  }

  /** What they occupy. */
  get keptBytes(): number {
    return this.usable ? this.#received : 0;
  }

  /**
   * Takes the next bytes of the sums, cut anywhere.
   * @throws Bug when there are more than `remainingBytes`.
   */
  append(bytes: Uint8Array): void {
    if (bytes.length > this.remainingBytes) throw new Bug('more block sums than announced');
    if (!this.usable) {
      this.#received += bytes.length;
      return;
    }
    const chunkBytes = CHUNK_BLOCKS * this.#recordBytes;
    for (let from = 0; from < bytes.length; ) {
      const at = this.#received % chunkBytes;
      if (at === 0) this.#chunks.push(Buffer.allocUnsafeSlow(Math.min(chunkBytes, this.remainingBytes)));
      const size = Math.min(bytes.length - from, chunkBytes - at);
      this.#chunks[this.#chunks.length - 1]!.set(bytes.subarray(from, from + size), at);
      from += size;
      this.#received += size;
    }
  }

  /** Weak sum of block `index`, as a signed 32-bit number. */
  weakAt(index: number): number {
    return this.#chunks[index >> CHUNK_SHIFT]!.readInt32LE((index & CHUNK_MASK) * this.#recordBytes);
  }

  /** Whether `digest` begins with the strong sum of block `index`. */
  strongEquals(index: number, digest: Uint8Array): boolean {
    const chunk = this.#chunks[index >> CHUNK_SHIFT]!;
    const from = (index & CHUNK_MASK) * this.#recordBytes + WEAK_BYTES;
    for (let i = 0; i < this.#compared; i++) if (chunk[from + i] !== digest[i]) return false;
    return true;
  }

  /** Whether blocks `a` and `b` have the same strong sum. */
  sameStrong(a: number, b: number): boolean {
    const chunkA = this.#chunks[a >> CHUNK_SHIFT]!;
    const chunkB = this.#chunks[b >> CHUNK_SHIFT]!;
    const fromA = (a & CHUNK_MASK) * this.#recordBytes + WEAK_BYTES;
    const fromB = (b & CHUNK_MASK) * this.#recordBytes + WEAK_BYTES;
    for (let i = 0; i < this.#compared; i++) if (chunkA[fromA + i] !== chunkB[fromB + i]) return false;
    return true;
  }
}

function isUsable(head: SumHead, { digestLength, limits }: BlockSumsRules): boolean {
  // The checksum `none` has one constant byte, and without strong bytes every weak hit would count as a match: the
  // client would assemble garbage and ask again.
  if (head.count === 0 || digestLength <= 1 || head.strongLength === 0) return false;
  // SECURITY: without these bounds a 16-byte head buys gigabytes of storage, or one synchronous hash of 512 MiB.
  const met: LimitName | null =
    (head.count > limits.blockSums && 'blockSums') ||
    (head.count * head.strongLength > limits.blockSumBytes && 'blockSumBytes') ||
    (head.blockLength > limits.matchBlockBytes && 'matchBlockBytes') ||
    null;
  if (met !== null) limitHits.count(met);
  return met === null;
}
