/** Reading a file that may shrink or fail on the way: what is missing becomes zeros and is remembered (3-transfer.md 2.6). */

import { FileError } from '../errors.ts';
import { ENODATA, errnoText } from '../vfs/errno.ts';
import type { OpenFile } from '../vfs/open-file.ts';

/** A file being sent; an error spoils its sum, so that the client notices. */
export class FileProgress {
  /** The first thing that went wrong. */
  error: FileError | null = null;

  /** Replaces the bytes of `into` from `filled` on by zeros. @param error null for an early end of file. */
  pad(into: Uint8Array, filled: number, error: FileError | null): void {
    this.error ??= error ?? new FileError(errnoText(ENODATA), ENODATA);
    into.fill(0, filled);
  }
}

/** Fills `into` from `position`, in this tick. */
export function readPadded(file: OpenFile, into: Uint8Array, position: number, progress: FileProgress): void {
  try {
    const filled = file.readSync(into, position);
    if (filled < into.length) progress.pad(into, filled, null);
  } catch (thrown) {
    progress.pad(into, 0, asFileError(thrown));
  }
}

/** Fills `into` from `position` by the thread pool. */
export async function readPaddedAsync(
  file: OpenFile,
  into: Uint8Array,
  position: number,
  progress: FileProgress,
): Promise<void> {
  try {
    const filled = await file.read(into, position);
    if (filled < into.length) progress.pad(into, filled, null);
  } catch (thrown) {
    progress.pad(into, 0, asFileError(thrown));
  }
}

/** A read that took longer, in milliseconds, came from somewhere else than memory. */
const SLOW_READ_MS = 1;

/** Whether a file comes from memory, judged by its latest read. */
export class ReadPace {
  /** True until the first read has shown otherwise: nobody knows yet where the file lies. */
  isSlow = true;

  note(startedMs: number): void {
    this.isSlow = performance.now() - startedMs > SLOW_READ_MS;
  }
}

/** @throws what is no FileError. */
export function asFileError(thrown: unknown): FileError {
  if (thrown instanceof FileError) return thrown;
  throw thrown;
}
