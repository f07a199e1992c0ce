/**
 * What one stage of the process has read of the files that the configuration names, for the next stage, which could not read them
 * again: it has given up root and sees little of the file system. cli/stages.ts hands it over.
 */

import { resolve } from 'node:path';
import { Bug } from '../errors.ts';

/** A file, and what decides whom it can be trusted to. */
export interface RecordedFile {
  readonly content: Buffer;
  readonly mode: number;
  readonly uid: number;
}

/** The record as JSON has it; contents in base64. */
export interface FileRecordJson {
  readonly files: readonly (readonly [path: string, file: { content: string; mode: number; uid: number }])[];
  readonly lists: readonly (readonly [path: string, names: readonly string[] | null])[];
}

/** Grows with each file that is read; or, made from JSON, answers in place of the disk. */
export class FileRecord {
  readonly #files = new Map<string, RecordedFile>();
  readonly #lists = new Map<string, readonly string[] | null>();
  readonly #isComplete: boolean;

  constructor(json: FileRecordJson | null = null) {
    this.#isComplete = json !== null;
    for (const [path, { content, mode, uid }] of json?.files ?? []) {
      this.#files.set(path, { content: Buffer.from(content, 'base64'), mode, uid });
    }
    for (const [path, names] of json?.lists ?? []) this.#lists.set(path, names);
  }

  /** Absolute paths of the files, directories of lists not among them. */
  get files(): string[] {
    return [...this.#files.keys()];
  }

  /** Its owner and mode, for a file that was read. */
  ownerOf(path: string): Pick<RecordedFile, 'mode' | 'uid'> | null {
    return this.#files.get(resolve(path)) ?? null;
  }

  /** The file, which `read` reads unless the stage before has. @throws what `read` throws. */
  file(path: string, read: () => RecordedFile): RecordedFile {
    return this.#recall(this.#files, path, read);
  }

  /** As `file`, for the names in a directory. */
  list(path: string, read: () => readonly string[] | null): readonly string[] | null {
    return this.#recall(this.#lists, path, read);
  }

  /** Whether a file is there; @param look for it on the disk. */
  exists(path: string, look: (path: string) => boolean): boolean {
    return this.#isComplete ? this.#files.has(resolve(path)) : look(path);
  }

  toJSON(): FileRecordJson {
    const files = [...this.#files].map(
      ([path, { content, mode, uid }]) => [path, { content: content.toString('base64'), mode, uid }] as const,
    );
    return { files, lists: [...this.#lists] };
  }

  #recall<T>(known: Map<string, T>, path: string, read: () => T): T {
    // The next stage has another working directory.
    const key = resolve(path);
    const value = known.get(key);
    if (value !== undefined) return value;
    if (this.#isComplete) throw new Bug(`${path} was not read before root was given up`);
    const fresh = read();
    known.set(key, fresh);
    return fresh;
  }
}
