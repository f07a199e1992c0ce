/** Literal compression `lz4`: each record is one independent LZ4 block (3-transfer.md 5.5). */

import { instantiate } from '../assembler.ts';
import { Bug } from '../errors.ts';
import { MAX_RECORD, type RecordSink, type TokenCompressor } from './compressor.ts';
import { assembleLz4, INPUT_AT, INPUT_BYTES, OUTPUT_AT } from './lz4-code.ts';

/** An LZ4 block, valid until the next call, and how much of the input it holds. */
export interface Lz4Block {
  readonly block: Uint8Array;
  readonly taken: number;
}

/** Compresses the beginning of `data`, 1 to INPUT_BYTES, to a block of at most MAX_RECORD bytes. */
export type Lz4BlockFunction = (data: Uint8Array) => Lz4Block;

/** The instance of a thread. */
interface Lz4Code {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly compress: (source: number, end: number, into: number, limit: number) => number;
}

// Module-level on purpose: nothing in it outlives a call. Made by the first session that needs it.
const loaded: { code: Lz4Code | null } = { code: null };

/** How blocks are made; null without WebAssembly (`--jitless`), where lz4 is not offered. */
export function lz4BlockFunction(): Lz4BlockFunction | null {
  return 'WebAssembly' in globalThis ? compressBlock : null;
}

function compressBlock(data: Uint8Array): Lz4Block {
  if (data.length === 0 || data.length > INPUT_BYTES) throw new Bug('lz4 input of impossible length');
  loaded.code ??= instantiate<Lz4Code>(assembleLz4);
  if (loaded.code === null) throw new Bug('lz4 without WebAssembly');
  const { memory, compress } = loaded.code;
  const bytes = new Uint8Array(memory.buffer);
  bytes.set(data, INPUT_AT);
  const result = compress(INPUT_AT, INPUT_AT + data.length, OUTPUT_AT, OUTPUT_AT + MAX_RECORD);
  return { block: bytes.subarray(OUTPUT_AT, OUTPUT_AT + (result & 0xffff)), taken: result >>> 16 };
}

/** Synchronous: a record takes 20 to 65 us, no more than a trip through the thread pool. */
export class Lz4Compressor implements TokenCompressor {
  readonly #sink: RecordSink;
  readonly #compress: Lz4BlockFunction;
  /** What waits for more, so that records are full. */
  readonly #pending = Buffer.allocUnsafeSlow(INPUT_BYTES);
  #length = 0;

  constructor(sink: RecordSink, compress: Lz4BlockFunction) {
    this.#sink = sink;
    this.#compress = compress;
  }

  startFile(): void {
    this.#length = 0;
  }

  literal(data: Uint8Array): void {
    for (let from = 0; from < data.length; ) {
      const size = Math.min(data.length - from, INPUT_BYTES - this.#length);
      if (size === INPUT_BYTES) {
        from += this.#emit(data.subarray(from, from + size));
        continue;
      }
      const waited = this.#length;
      this.#pending.set(data.subarray(from, from + size), waited);
      this.#length += size;
      from += size;
      if (this.#length < INPUT_BYTES) return;
      this.#emitPending();
      if (this.#length > size) continue;
      // Nothing is left of what waited: the rest is where it was in the data, and need not wait there.
      from -= this.#length;
      this.#length = 0;
    }
  }

  flushLiterals(): void {
    // A record that decodes to nothing would be taken for the end of the file (3-transfer.md 5.5): none for empty runs.
    while (this.#length > 0) this.#emitPending();
  }

  matched(): void {}

  release(): void {}

  #emitPending(): void {
    const taken = this.#emit(this.#pending.subarray(0, this.#length));
    this.#pending.copyWithin(0, taken, this.#length);
    this.#length -= taken;
  }

  /** Emits one record; returns how much of `data` it holds. */
  #emit(data: Uint8Array): number {
    const { block, taken } = this.#compress(data);
    if (taken === 0 || block.length > MAX_RECORD) throw new Bug('lz4 block of impossible length');
    this.#sink(block);
    return taken;
  }
}
