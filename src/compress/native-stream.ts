/** One native zlib or zstd stream driven call by call through node's thread pool; zlib.ts and zstd.ts build on it. */

import type { Transform } from 'node:stream';
import type { Zlib, ZlibReset } from 'node:zlib';
import { Bug, PeerGone, type RsyncError } from '../errors.ts';
import type { Limiter } from './limiter.ts';

/** Largest input of one job: a trip through the pool costs 0.06 ms; deflate takes 6 ms for random data, zstd half a millisecond. */
const JOB_BYTES = 256 * 1024;

/** Output buffer of a stream: each filled one is another trip through the pool. */
export const OUTPUT_BYTES = 128 * 1024;

type CompressionStream = Transform & Pick<Zlib, 'flush'> & Partial<ZlibReset>;

export class NativeStream {
  readonly #stream: CompressionStream;
  readonly #limiter: Limiter;
  #output: (bytes: Buffer) => void;
  #failure: RsyncError | null = null;
  #reject: ((error: RsyncError) => void) | null = null;

  /** @param output receives compressed bytes while `write` and `flush` are pending. */
  constructor(stream: CompressionStream, limiter: Limiter, output: (bytes: Buffer) => void) {
    this.#stream = stream;
    this.#limiter = limiter;
    this.#output = output;
    stream.on('data', (bytes: Buffer) => this.#output(bytes));
    stream.on('error', (cause) => this.#fail(new Bug('compression failed', { cause })));
  }

  /** Compresses `data`; resolves when all of it was taken. */
  async write(data: Uint8Array): Promise<void> {
    for (let from = 0; from < data.length; from += JOB_BYTES) {
      await this.#job((done) => this.#stream.write(data.subarray(from, from + JOB_BYTES), done));
    }
  }

  /** Brings out everything written, with flush mode `kind` of node:zlib constants. */
  flush(kind: number): Promise<void> {
    return this.#job((done) => this.#stream.flush(kind, done));
  }

  /** Forgets all history; only between calls, only for deflate. */
  reset(): void {
    this.#stream.reset?.();
  }

  /** Frees the native state; a pending call rejects with PeerGone. */
  close(): void {
    this.#output = () => {};
    this.#stream.destroy();
    this.#fail(new PeerGone('session ended while compressing'));
  }

  #fail(error: RsyncError): void {
    this.#failure ??= error;
    this.#reject?.(this.#failure);
  }

  #job(start: (done: () => void) => void): Promise<void> {
    return this.#limiter.run(
      () =>
        new Promise<void>((resolve, reject) => {
          if (this.#failure !== null) return reject(this.#failure);
          this.#reject = reject;
          start(() => {
            this.#reject = null;
            if (this.#failure === null) resolve();
            else reject(this.#failure);
          });
        }),
    );
  }
}
