/**
 * A finished recording in memory that all workers see, and the lists of a session that plays it.
 *
 * Each list: words (header, lengths of the pieces, three lengths for each source, records, order), then bytes (names, the paths of
 * its sources, pieces). A piece holds whole frames.
 */

import { Bug } from '../errors.ts';
import type { HeldBlob } from '../store/pages.ts';
import { DirectoryPath, splitPath } from '../vfs/path.ts';
import { breathe, type ListContext, needsBreath } from './context.ts';
import type { SourceDirectory } from './entry.ts';
import { FileList, type PackedList } from './file-list.ts';
import type { ListSource } from './list-source.ts';
import type { RecordedList } from './recording.ts';

/** Words of a list's header. */
const L_WORDS = 0;
const L_BYTES = 1;
const L_START = 2;
const L_COUNT = 3;
const L_THROUGH = 4;
const L_NEXT = 5;
const L_FLAGS = 6;
const L_SENT = 7;
const L_SIZE_LOW = 8;
const L_SIZE_HIGH = 9;
const L_IO_ERROR = 10;
const L_MESSAGES = 11;
const L_PIECES = 12;
const L_SOURCES = 13;
const L_NAMES = 14;
const L_PATHS = 15;
const HEADER_WORDS = 16;

const HAS_ROOT = 1;
const HAS_FILE_ERRORS = 2;

const NO_DIRECTORY = -1;

const TWO_32 = 2 ** 32;

/** The parts of a blob that holds all lists of a recording. */
export function publishedParts(lists: readonly RecordedList[]): Uint8Array[] {
  return lists.flatMap(partsOf);
}

function partsOf({ list, pieces, messages, ...state }: RecordedList): Uint8Array[] {
  if (list === null || messages === null) throw new Bug('a list was published that is not complete');
  const { records, order, names, sources } = list.pack();
  const paths = sources.flatMap(({ directory, wireName, modulePath }) => [directory.toBuffer(), wireName, modulePath]);
  const frames = pieces as readonly Buffer[];
  const lengths = Uint32Array.from([...frames, ...paths], ({ length }) => length);
  const header = new Uint32Array(HEADER_WORDS);
  const bytes: Uint8Array[] = [names, ...paths, ...frames];
  header[L_WORDS] = HEADER_WORDS + lengths.length + records.length + order.length;
  header[L_BYTES] = bytes.reduce((sum, { length }) => sum + length, 0);
  header[L_START] = list.start;
  header[L_COUNT] = list.count;
  header[L_THROUGH] = list.entriesThrough;
  header[L_NEXT] = state.nextDirectory ?? NO_DIRECTORY;
  header[L_FLAGS] = (state.hasRootDirectory ? HAS_ROOT : 0) | (messages.hasFileErrors ? HAS_FILE_ERRORS : 0);
  header[L_SENT] = state.entriesSent;
  header[L_SIZE_LOW] = state.totalSizeBytes;
  header[L_SIZE_HIGH] = Math.floor(state.totalSizeBytes / TWO_32);
  header[L_IO_ERROR] = messages.ioError;
  header[L_MESSAGES] = messages.fileMessages;
  header[L_PIECES] = frames.length;
  header[L_SOURCES] = sources.length;
  header[L_NAMES] = names.length;
  header[L_PATHS] = paths.reduce((sum, { length }) => sum + length, 0);
  return [...[header, lengths, records, order].map(bytesOf), ...bytes];
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

type Output = Pick<ListContext, 'writer' | 'messages' | 'slice' | 'filter' | 'protocol'>;

/** What an entry takes once it is in a session's own memory. */
const COPIED_BYTES = 50;

/** One per session. Close it when the session ends. */
export class PublishedLists implements ListSource {
  readonly #blob: HeldBlob;
  readonly #output: Output;
  readonly #makeSource: SourceMaker;
  #at = 0;
  #header: Uint32Array | null = null;

  /** @param blob of publishedParts; its lists are played once. */
  constructor(blob: HeldBlob, output: Output) {
    this.#blob = blob;
    this.#output = output;
    this.#makeSource = new SourceMaker(output.filter);
  }

  get nextDirectory(): number | null {
    const next = this.#word(L_NEXT) | 0;
    return this.#header === null || next === NO_DIRECTORY ? null : next;
  }

  get hasRootDirectory(): boolean {
    return (this.#word(L_FLAGS) & HAS_ROOT) !== 0;
  }

  get entriesSent(): number {
    return this.#word(L_SENT);
  }

  get totalSizeBytes(): number {
    return this.#word(L_SIZE_LOW) + this.#word(L_SIZE_HIGH) * TWO_32;
  }

  first(): Promise<FileList> {
    return this.#play();
  }

  next(): Promise<FileList> {
    return this.#play();
  }

  /** A list that the client asks something of is copied. */
  keptBytes(entries: number): number {
    return COPIED_BYTES * entries;
  }

  /** @throws Bug: sessions with attributes list for themselves. */
  abbreviated(): never {
    throw new Bug('a published list has no attributes');
  }

  close(): void {
    this.#blob.close();
  }

  #word(word: number): number {
    return this.#header?.[word] ?? 0;
  }

  async #play(): Promise<FileList> {
    if (needsBreath(this.#output)) await breathe(this.#output);
    const blob = this.#blob;
    const start = this.#at;
    const header = wordsOf(blob.read(start, 4 * HEADER_WORDS));
    const wordsAt = start + 4 * HEADER_WORDS;
    const bytesAt = start + 4 * header[L_WORDS]!;
    const framesAt = bytesAt + header[L_NAMES]! + header[L_PATHS]!;
    this.#at = bytesAt + header[L_BYTES]!;
    await this.#send(wordsOf(blob.read(wordsAt, 4 * header[L_PIECES]!)), framesAt);
    this.#header = header;
    const { messages, protocol } = this.#output;
    messages.adopt({
      ioError: header[L_IO_ERROR]!,
      hasFileErrors: (header[L_FLAGS]! & HAS_FILE_ERRORS) !== 0,
      fileMessages: header[L_MESSAGES]!,
    });
    const known = { start: header[L_START]!, protocol, count: header[L_COUNT]! };
    // Of most lists the client never asks for anything.
    const list = FileList.unpack(known, () => this.#load(header, wordsAt));
    list.entriesThrough = header[L_THROUGH]!;
    return list;
  }

  #load(header: Uint32Array, wordsAt: number): PackedList {
    const sourcesAt = header[L_PIECES]!;
    const recordsAt = sourcesAt + 3 * header[L_SOURCES]!;
    const wordCount = header[L_WORDS]! - HEADER_WORDS;
    const orderAt = wordCount - header[L_COUNT]!;
    const words = wordsOf(this.#blob.read(wordsAt, 4 * wordCount));
    const bytesAt = wordsAt + 4 * wordCount;
    const names = this.#blob.read(bytesAt, header[L_NAMES]!);
    const paths = this.#blob.read(bytesAt + names.length, header[L_PATHS]!);
    return {
      records: words.subarray(recordsAt, orderAt),
      order: words.subarray(orderAt),
      names,
      sources: this.#makeSource.all(words.subarray(sourcesAt, recordsAt), paths),
    };
  }

  async #send(lengths: Uint32Array, from: number): Promise<void> {
    let at = from;
    for (const length of lengths) {
      const start = at;
      this.#output.writer.copyFrames(length, (into, offset) => this.#blob.copy(start + offset, into));
      at += length;
      if (needsBreath(this.#output)) await breathe(this.#output);
    }
  }
}

function wordsOf(bytes: Buffer<ArrayBuffer>): Uint32Array {
  return new Uint32Array(bytes.buffer);
}

/** Makes directories of their paths, whose parents are shared where they follow each other. */
class SourceMaker {
  readonly #filter: ListContext['filter'];
  #last = DirectoryPath.root();

  constructor(filter: ListContext['filter']) {
    this.#filter = filter;
  }

  all(lengths: Uint32Array, paths: Buffer): SourceDirectory[] {
    const sources: SourceDirectory[] = [];
    let at = 0;
    const take = (length: number): Buffer => {
      at += length;
      return paths.subarray(at - length, at);
    };
    for (let i = 0; i < lengths.length; i += 3) {
      sources.push({
        directory: this.#path(take(lengths[i]!)),
        wireName: take(lengths[i + 1]!),
        modulePath: take(lengths[i + 2]!),
        // What the rest is for has been done.
        scope: this.#filter.rootScope(Buffer.alloc(0), () => null),
        ...{ argumentDevice: 0n, device: 0n, inode: 0n, parent: null },
      });
    }
    return sources;
  }

  #path(path: Buffer): DirectoryPath {
    const known: DirectoryPath[] = [];
    for (let one: DirectoryPath | null = this.#last; one !== null; one = one.parent) known.push(one);
    known.reverse();
    let directory = known[0]!;
    for (const name of splitPath(path)) {
      const next = known[directory.depth + 1];
      directory = next?.parent === directory && next.name.equals(name) ? next : directory.child(name);
    }
    this.#last = directory;
    return directory;
  }
}
