/** Reading a file that may shrink or fail on the way: what is missing becomes zeros and is remembered (3-transfer.md 2.6). */

import { FileError } from '../errors.ts';
import { ENODATA, errnoText } from '../vfs/errno.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { type ReadPace, SMALL_FILE } from '../vfs/read-pace.ts';

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

/** A file that is read from its beginning to its end. */
export interface SequentialSource {
  readonly file: OpenFile;
  readonly progress: FileProgress;
  readonly pace: ReadPace;
}

/** Fills `into` from `position`: in this tick when the file comes from memory. */
export async function readNext(
  { file, progress, pace }: SequentialSource,
  into: Uint8Array,
  position: number,
): Promise<void> {
  const startedMs = performance.now();
  if (file.sizeBytes <= SMALL_FILE || !pace.isSlow) readPadded(file, into, position, progress);
  else await readPaddedAsync(file, into, position, progress);
  pace.note(startedMs);
}

/** @throws what is no FileError. */
export function asFileError(thrown: unknown): FileError {
  if (thrown instanceof FileError) return thrown;
  throw thrown;
}
