/** Literal compression `lz4`: each record is one independent LZ4 block (3-transfer.md 5.5). */

import { Bug } from '../errors.ts';
import { MAX_RECORD, type RecordSink, type TokenCompressor } from './compressor.ts';

/** Compresses one non-empty input to an LZ4 block without any header. */
export type Lz4BlockFunction = (data: Uint8Array) => Uint8Array;

/** Bytes of the uncompressed length that lz4-napi puts before its blocks. */
const LENGTH_PREFIX = 4;
/** Optional native package: where it is not installed or does not load, lz4 is not offered. */
const PACKAGE = 'lz4-napi';

/** Loads the LZ4 library; null where there is none. Called once at start. */
export async function loadLz4(): Promise<Lz4BlockFunction | null> {
  try {
    const library = (await import(PACKAGE)) as { compressSync(data: Buffer): Buffer };
    const compress: Lz4BlockFunction = (data) =>
      library.compressSync(Buffer.from(data.buffer, data.byteOffset, data.byteLength)).subarray(LENGTH_PREFIX);
    return isSane(compress) ? compress : null;
  } catch {
    // Not installed, or built for another platform: both mean that we do not have lz4.
    return null;
  }
}

/** One byte has only one encoding: token 0x10 and the byte. Anything else is a library with another header. */
function isSane(compress: Lz4BlockFunction): boolean {
  return Buffer.from(compress(Buffer.from('a'))).equals(Buffer.from([0x10, 0x61]));
}

/** Synchronous: a record takes 4 to 65 us, less than a trip through the thread pool. */
export class Lz4Compressor implements TokenCompressor {
  readonly #sink: RecordSink;
  readonly #compress: Lz4BlockFunction;
  readonly #pending = Buffer.alloc(MAX_RECORD);
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
      const size = Math.min(data.length - from, MAX_RECORD - this.#length);
      this.#pending.set(data.subarray(from, from + size), this.#length);
      this.#length += size;
      from += size;
      if (this.#length === MAX_RECORD) this.flushLiterals();
    }
  }

  flushLiterals(): void {
    // A record that decodes to nothing would be taken for the end of the file (3-transfer.md 5.5): none for empty runs.
    for (let from = 0; from < this.#length; ) from += this.#emitFrom(from);
    this.#length = 0;
  }

  matched(): void {}

  release(): void {}

  /** Emits one record; returns how much input it holds. Data that grows beyond a record is halved until it fits. */
  #emitFrom(from: number): number {
    for (let size = this.#length - from; size > 0; size >>= 1) {
      const block = this.#compress(this.#pending.subarray(from, from + size));
      if (block.length > MAX_RECORD) continue;
      this.#sink(block);
      return size;
    }
    throw new Bug('lz4 block does not fit into a record');
  }
}
