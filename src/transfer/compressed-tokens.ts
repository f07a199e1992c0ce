/**
 * Compressed token streams (3-transfer.md 5.2); a session that negotiated compression writes its files through this.
 *
 *   00 end of file                20 int index: one token            21 int start, u16 more: run
 *   40…7F, byte: data record, 14-bit length     80…BF one token, relative     C0…FF, u16 more: run, relative
 */

import { MAX_RECORD, type RecordSink, type TokenCompressor } from '../compress/compressor.ts';
import { Bug } from '../errors.ts';
import type { FrameWriter } from '../wire/writer.ts';

const END_FLAG = 0x00;
const TOKEN_LONG = 0x20;
const TOKENRUN_LONG = 0x21;
const DEFLATED_DATA = 0x40;
const TOKEN_REL = 0x80;
const TOKENRUN_REL = 0xc0;
/** Largest difference of the relative forms. */
const MAX_RELATIVE = 63;
/** Most blocks in one run. */
const MAX_RUN = 65_536;

/** Makes a compressor whose records go to `sink`. */
export type CompressorFactory = (sink: RecordSink) => TokenCompressor;

type TokenOutput = Pick<FrameWriter, 'putByte' | 'putBytes' | 'putInt32' | 'putUint16'>;

/** Writes the tokens of one file at a time. Await each call before the next. */
export class CompressedTokenWriter {
  readonly #output: TokenOutput;
  readonly #compressor: TokenCompressor;
  readonly #createStored: (() => TokenCompressor) | null;
  /** For files that do not shrink; made when the first one comes. */
  #stored: TokenCompressor | null = null;
  /** The one that compresses the current file. */
  #current: TokenCompressor;
  /** First block of the open run, -1 when there is none. */
  #runStart = -1;
  #runEnd = -1;
  /** Last block of the previous run; the first token of a file is relative to 0. */
  #last = 0;
  #hasLiterals = false;

  /**
   * @param create makes the session's compressor, whose records go to the given sink.
   * @param createStored the same without compression; null for formats whose state spans files.
   */
  constructor(output: TokenOutput, create: CompressorFactory, createStored: CompressorFactory | null = null) {
    const sink: RecordSink = (payload) => this.#putRecord(payload);
    this.#output = output;
    this.#compressor = create(sink);
    this.#current = this.#compressor;
    this.#createStored = createStored === null ? null : () => createStored(sink);
  }

  /** Begins a file. @param isStored its data is not worth compressing. */
  startFile(isStored = false): void {
    this.#runStart = -1;
    this.#last = 0;
    if (isStored && this.#createStored !== null) this.#stored ??= this.#createStored();
    this.#current = (isStored ? this.#stored : null) ?? this.#compressor;
    this.#current.startFile();
  }

  /** Literal bytes, which must stay unchanged until the promise resolves. */
  async literal(data: Uint8Array): Promise<void> {
    if (data.length === 0) return;
    // Records may come out at once, and the tokens before them in the file go first.
    this.#flushRun();
    this.#hasLiterals = true;
    await this.#current.literal(data);
  }

  /** Block `index` of the old file, whose bytes are `block`. */
  async match(index: number, block: Uint8Array): Promise<void> {
    if (this.#hasLiterals) await this.#flushLiterals();
    if (this.#runStart >= 0 && index === this.#runEnd + 1 && index - this.#runStart < MAX_RUN) {
      this.#runEnd = index;
    } else {
      this.#flushRun();
      this.#runStart = index;
      this.#runEnd = index;
    }
    this.#current.matched(block);
  }

  /** Ends the file; the whole-file sum follows on the same output. */
  async endFile(): Promise<void> {
    if (this.#hasLiterals) await this.#flushLiterals();
    this.#flushRun();
    this.#output.putByte(END_FLAG);
  }

  /** Frees the compressor; allowed at any time. */
  release(): void {
    this.#compressor.release();
    this.#stored?.release();
  }

  async #flushLiterals(): Promise<void> {
    await this.#current.flushLiterals();
    this.#hasLiterals = false;
  }

  #flushRun(): void {
    if (this.#runStart < 0) return;
    const difference = this.#runStart - this.#last;
    const more = this.#runEnd - this.#runStart;
    if (difference >= 0 && difference <= MAX_RELATIVE) {
      this.#output.putByte((more > 0 ? TOKENRUN_REL : TOKEN_REL) + difference);
    } else {
      this.#output.putByte(more > 0 ? TOKENRUN_LONG : TOKEN_LONG);
      this.#output.putInt32(this.#runStart);
    }
    if (more > 0) this.#output.putUint16(more);
    this.#last = this.#runEnd;
    this.#runStart = -1;
  }

  #putRecord(payload: Uint8Array): void {
    if (payload.length === 0 || payload.length > MAX_RECORD) throw new Bug('compressed record of impossible length');
    this.#output.putByte(DEFLATED_DATA | (payload.length >> 8));
    this.#output.putByte(payload.length & 0xff);
    this.#output.putBytes(payload);
  }
}
