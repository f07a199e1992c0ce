/** What the file list and the transfer need of checksums; choose.ts makes the implementations. */

/** Names that may stand in a negotiation list or in --checksum-choice (`xxhash` is read as `xxh64`). */
export type ChecksumName = 'xxh128' | 'xxh3' | 'xxh64' | 'md5' | 'md4' | 'sha1' | 'none';

/** A checksum with its seeding rules (3-transfer.md 3.4): the two extra forms are what old protocols imply. */
export type SumVariant = ChecksumName | 'md4-old' | 'md5-legacy';

/** `stepBytes` of node:crypto's sums and hash-wasm's (500 MB/s and more), and of the kernel's (at least five times as fast). */
export const STEP_BYTES = { slow: 256 * 1024, fast: 2 * 1024 * 1024 } as const;

/** Running digest over content, in the byte order of the wire. Holds an instance of a pool: `release` it. */
export interface ContentSum {
  /** Wire length in bytes: 16, 20, 8, or 1 for `none`. */
  readonly digestLength: number;
  /** As many bytes as it takes in half a millisecond, or less: whoever has more asks in between whose turn it is. */
  readonly stepBytes: number;
  /** Starts over. */
  reset(): void;
  update(data: Uint8Array): void;
  /** The digest; the buffer is valid until the next call on this object. */
  digest(): Buffer;
  /** Gives the instance back; the object must not be used afterwards. */
  release(): void;
}

/** Both sums of a transfer, bound to one session's seed (3-transfer.md 3.5 and 6.1). */
export interface TransferSums {
  readonly variant: SumVariant;
  readonly digestLength: number;
  /** Whole-file sum. One file at a time. */
  readonly file: ContentSum;
  /** Strong sums of blocks, made when they are asked for first: most sessions have no basis to compare with. */
  blocks(): Promise<BlockDigest>;
  release(): void;
}

/** Computes strong sums of blocks (3-transfer.md 3.5). */
export interface BlockDigest {
  /** Ways in which a client may have computed them: 2 for explicit md4, else 1. */
  readonly variants: number;
  /** The buffer is valid until the next call. */
  sum(block: Uint8Array, variant: number): Buffer;
}
