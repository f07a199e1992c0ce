/** Cuts compressed output into records of at most 16383 bytes; zlib.ts and zstd.ts write through it. */

import { MAX_RECORD, type RecordSink } from './compressor.ts';

/** Holds back the last `trim` bytes of a run, which `endRun` throws away. Never emits an empty record. */
export class RecordCutter {
  readonly #sink: RecordSink;
  readonly #trim: number;
  readonly #pending = Buffer.alloc(MAX_RECORD);
  #length = 0;

  /** @param trim 4 for deflate, whose runs end in 00 00 FF FF that the receiver supplies itself; 0 for zstd. */
  constructor(sink: RecordSink, trim: number) {
    this.#sink = sink;
    this.#trim = trim;
  }

  /** Takes compressed bytes. */
  push(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; ) {
      if (this.#length === MAX_RECORD) this.#emit(MAX_RECORD - this.#trim);
      const size = Math.min(bytes.length - from, MAX_RECORD - this.#length);
      this.#pending.set(bytes.subarray(from, from + size), this.#length);
      this.#length += size;
      from += size;
    }
  }

  /** Emits what is left of a run, except its last `trim` bytes, which are returned; valid until the next `push`. */
  endRun(): Buffer {
    const kept = Math.max(0, this.#length - this.#trim);
    const trimmed = Buffer.from(this.#pending.subarray(kept, this.#length));
    this.#emit(kept);
    this.#length = 0;
    return trimmed;
  }

  #emit(size: number): void {
    if (size > 0) this.#sink(this.#pending.subarray(0, size));
    this.#pending.copyWithin(0, size, this.#length);
    this.#length -= size;
  }
}
