/**
 * The tokens of a file: plain ones go straight into the output, compressed ones through a queue that the caller settles.
 *
 * Plain (3-transfer.md 5.1):
 *   int n > 0  n literal bytes follow, at most CHUNK_SIZE      int -(i+1)  copy block i      int 0  end
 */

import { CHUNK_SIZE } from '../wire/constants.ts';
import type { FrameWriter } from '../wire/writer.ts';
import type { CompressedTokenWriter } from './compressed-tokens.ts';
import type { SkipList } from './skip-compress.ts';

/** Where the tokens of one file go. Memory handed in must stay unchanged until `settle` has resolved. */
export interface TokenSink {
  literal(data: Uint8Array): void;
  /** @param data the bytes of the block. */
  match(blockIndex: number, data: Uint8Array): void;
  /** Waits until everything handed in is on its way. */
  settle(): Promise<void> | void;
  /** Ends the file's tokens. */
  end(): Promise<void> | void;
}

/** Tokens without compression. */
export class PlainTokens implements TokenSink {
  readonly #writer: FrameWriter;

  constructor(writer: FrameWriter) {
    this.#writer = writer;
  }

  literal(data: Uint8Array): void {
    for (let done = 0; done < data.length; done += CHUNK_SIZE) {
      const size = Math.min(data.length - done, CHUNK_SIZE);
      this.#writer.putInt32(size);
      this.#writer.putBytes(data.subarray(done, done + size));
    }
  }

  match(blockIndex: number): void {
    this.#writer.putInt32(-(blockIndex + 1));
  }

  settle(): void {}

  end(): void {
    this.#writer.putInt32(0);
  }
}

/**
 * Room for a plain literal token that the caller fills in this tick.
 * @param size 1…CHUNK_SIZE.
 */
export function reserveLiteral(writer: FrameWriter, size: number): Buffer {
  writer.putInt32(size);
  return writer.reserve(size);
}

/** A literal run, or a block when `blockIndex` is not negative. */
interface QueuedToken {
  readonly blockIndex: number;
  readonly data: Uint8Array;
}

const LITERAL = -1;

/** Compressed tokens of one file after the other (3-transfer.md 5.2). */
export class CompressedTokens implements TokenSink {
  readonly #writer: CompressedTokenWriter;
  readonly #skips: SkipList;
  #queue: QueuedToken[] = [];

  /** @param skips files whose data is known not to shrink. */
  constructor(writer: CompressedTokenWriter, skips: SkipList) {
    this.#writer = writer;
    this.#skips = skips;
  }

  /** Begins a file. @param name last component, or a path. */
  startFile(name: Buffer): void {
    this.#queue = [];
    this.#writer.startFile(this.#skips.matches(name));
  }

  literal(data: Uint8Array): void {
    this.#queue.push({ blockIndex: LITERAL, data });
  }

  match(blockIndex: number, data: Uint8Array): void {
    this.#queue.push({ blockIndex, data });
  }

  async settle(): Promise<void> {
    const queue = this.#queue;
    this.#queue = [];
    for (const { blockIndex, data } of queue) {
      if (blockIndex === LITERAL) await this.#writer.literal(data);
      else await this.#writer.match(blockIndex, data);
    }
  }

  async end(): Promise<void> {
    await this.settle();
    await this.#writer.endFile();
  }

  release(): void {
    this.#writer.release();
  }
}
