/** Received channel data that the session has not read yet; ssh-transport.ts owns one. */

/** Data below this size is gathered into blocks, */
const SMALL_BYTES = 4096;
/** … of this size. */
const BLOCK_BYTES = 16_384;

/**
 * A queue of buffers.
 *
 * SECURITY: the window bounds bytes, not packets. A client that sends its window byte by byte would make us keep a million Buffer
 * objects, 100 MB, so small pieces are copied together.
 */
export class InputQueue {
  #chunks: Buffer[] = [];
  /** The last chunk, when it is a block with room left. */
  #block: Buffer | null = null;
  /** Bytes of the block that are taken. */
  #filled = 0;
  /** Bytes that wait. */
  bytes = 0;

  /** Appends bytes, which the queue owns from here on. */
  push(data: Buffer): void {
    this.bytes += data.length;
    if (data.length >= SMALL_BYTES) {
      this.#closeBlock();
      this.#chunks.push(data);
      return;
    }
    for (let at = 0; at < data.length; ) {
      if (this.#block === null || this.#filled === this.#block.length) this.#openBlock();
      const copied = data.copy(this.#block!, this.#filled, at);
      this.#filled += copied;
      at += copied;
    }
  }

  /** The oldest bytes; null when there are none. */
  shift(): Buffer | null {
    if (this.#chunks.length === 0) this.#closeBlock();
    const chunk = this.#chunks.shift() ?? null;
    this.bytes -= chunk?.length ?? 0;
    return chunk;
  }

  #openBlock(): void {
    this.#closeBlock();
    this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  }

  #closeBlock(): void {
    if (this.#block !== null && this.#filled > 0) this.#chunks.push(this.#block.subarray(0, this.#filled));
    this.#block = null;
    this.#filled = 0;
  }
}
