/** The last 32 KiB of matched data, which zlib's receiver keeps as history (3-transfer.md 5.3); zlib.ts feeds from it. */

/** Window of deflate: nothing further back can be referred to. */
const WINDOW = 32_768;
/** The receiver inserts longer blocks in pieces of this size. */
const PIECE = 65_535;

export class MatchHistory {
  readonly #bytes = Buffer.alloc(WINDOW);
  readonly #repeatsPieces: boolean;
  #length = 0;

  /** @param protocol below 31 every piece of a block over 65535 bytes holds the block's first bytes again. */
  constructor(protocol: number) {
    this.#repeatsPieces = protocol < 31;
  }

  /** Matched bytes that count as history. */
  get length(): number {
    return this.#length;
  }

  /** Adds one whole matched block. */
  add(block: Uint8Array): void {
    for (let from = 0; from < block.length; from += PIECE) {
      const size = Math.min(PIECE, block.length - from);
      const start = this.#repeatsPieces ? 0 : from;
      this.#append(block.subarray(start, start + size));
    }
  }

  /** The history in order; valid until the next `add`. */
  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  #append(data: Uint8Array): void {
    const fresh = data.length > WINDOW ? data.subarray(data.length - WINDOW) : data;
    const kept = Math.min(this.#length, WINDOW - fresh.length);
    this.#bytes.copyWithin(0, this.#length - kept, this.#length);
    this.#bytes.set(fresh, kept);
    this.#length = kept + fresh.length;
  }
}
