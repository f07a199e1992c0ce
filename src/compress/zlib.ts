/** Literal compression `zlib` and `zlibx`: raw deflate, one history per file (3-transfer.md 5.3, 5.4). */

import { constants, createDeflateRaw } from 'node:zlib';
import { Bug } from '../errors.ts';
import type { RecordSink, TokenCompressor } from './compressor.ts';
import { MatchHistory } from './history.ts';
import type { Limiter } from './limiter.ts';
import { NativeStream, OUTPUT_BYTES } from './native-stream.ts';
import { RecordCutter } from './records.ts';

/** What every sync flush ends with and the receiver supplies itself. */
const SYNC_MARK = Buffer.from([0x00, 0x00, 0xff, 0xff]);

/** How a deflate compressor is made. */
export interface ZlibOptions {
  /** 1…9; our clamp is in choose.ts. */
  readonly level: number;
  /** Null for `zlibx`, whose receiver keeps matched data out of the history; else the protocol. */
  readonly historyProtocol: number | null;
  readonly limiter: Limiter;
}

export class ZlibCompressor implements TokenCompressor {
  readonly #cutter: RecordCutter;
  readonly #stream: NativeStream;
  readonly #history: MatchHistory | null;
  #discarding = false;
  #runIsEmpty = true;

  constructor(sink: RecordSink, options: ZlibOptions) {
    this.#cutter = new RecordCutter(sink, SYNC_MARK.length);
    this.#history = options.historyProtocol === null ? null : new MatchHistory(options.historyProtocol);
    const deflate = createDeflateRaw({ level: options.level, windowBits: 15, memLevel: 8, chunkSize: OUTPUT_BYTES });
    this.#stream = new NativeStream(deflate, options.limiter, (bytes) => {
      if (!this.#discarding) this.#cutter.push(bytes);
    });
  }

  startFile(): void {
    this.#stream.reset();
    this.#history?.clear();
  }

  async literal(data: Uint8Array): Promise<void> {
    if (data.length === 0) return;
    if (this.#runIsEmpty) await this.#insertHistory();
    this.#runIsEmpty = false;
    await this.#stream.write(data);
  }

  async flushLiterals(): Promise<void> {
    if (this.#runIsEmpty) return;
    await this.#stream.flush(constants.Z_SYNC_FLUSH);
    this.#runIsEmpty = true;
    if (!this.#cutter.endRun().equals(SYNC_MARK)) throw new Bug('deflate run does not end in a sync mark');
  }

  matched(block: Uint8Array): void {
    this.#history?.add(block);
  }

  release(): void {
    this.#stream.close();
  }

  /**
   * The receiver puts matched data into its window as if stored. zlib cannot insert without output, so we compress it
   * and drop the result. Only what the window still holds is fed: with 32 KiB of it, nothing older can be referred to.
   */
  async #insertHistory(): Promise<void> {
    const history = this.#history;
    if (history === null || history.length === 0) return;
    this.#discarding = true;
    await this.#stream.write(history.bytes());
    await this.#stream.flush(constants.Z_SYNC_FLUSH);
    this.#discarding = false;
    history.clear();
  }
}
