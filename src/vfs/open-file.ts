/** Sequential reading of an open file into memory of the caller. */

import { type BigIntStats, closeSync, fstatSync, read, readSync, readv, readvSync } from 'node:fs';
import { promisify } from 'node:util';
import { toFileError } from './errno.ts';

const readAsync = promisify(read);
const readvAsync = promisify(readv);

/** An open regular file. Close it in a `finally`. */
export class OpenFile {
  readonly #fd: number;
  /** Size when it was opened: what a transfer of it promises. */
  readonly sizeBytes: number;

  /** @param fd taken over. */
  constructor(fd: number, sizeBytes: number) {
    this.#fd = fd;
    this.sizeBytes = sizeBytes;
  }

  /** Its attributes now. @throws FileError */
  stats(): BigIntStats {
    try {
      return fstatSync(this.#fd, { bigint: true });
    } catch (thrown) {
      throw toFileError(thrown);
    }
  }

  /**
   * Fills `into` from `position`, in this tick: for small files, where a thread-pool round trip would cost more than the read.
   * @returns bytes read; fewer than asked only at the end of the file.
   * @throws FileError
   */
  readSync(into: Uint8Array, position: number): number {
    try {
      let filled = 0;
      while (filled < into.length) {
        const count = readSync(this.#fd, into, filled, into.length - filled, position + filled);
        if (count === 0) break;
        filled += count;
      }
      return filled;
    } catch (thrown) {
      throw toFileError(thrown);
    }
  }

  /** As `readSync`, by the thread pool. */
  async read(into: Uint8Array, position: number): Promise<number> {
    try {
      let filled = 0;
      while (filled < into.length) {
        const { bytesRead } = await readAsync(this.#fd, into, filled, into.length - filled, position + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return filled;
    } catch (thrown) {
      throw toFileError(thrown);
    }
  }

  /** One scatter read by the thread pool. @returns bytes read, possibly fewer than there is room for. */
  async readv(into: readonly Uint8Array[], position: number): Promise<number> {
    try {
      const { bytesRead } = await readvAsync(this.#fd, into as Uint8Array[], position);
      return bytesRead;
    } catch (thrown) {
      throw toFileError(thrown);
    }
  }

  /** As `readv`, in this tick. */
  readvSync(into: readonly Uint8Array[], position: number): number {
    try {
      return readvSync(this.#fd, into as Uint8Array[], position);
    } catch (thrown) {
      throw toFileError(thrown);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}
