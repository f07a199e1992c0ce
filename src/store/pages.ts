/** The pages of a SharedStore: which are free, what stands in them, and reading it. All but `fill` and reading needs the store's lock. */

import { MAX_WORKERS } from '../shared.ts';

const H_FREE = 0;
const H_USED_ONCE = 1;
const H_TAKEN = 2;
/** Pages of each worker's blobs, and what each has reserved. */
const H_OF = 4;
const H_RESERVED = H_OF + MAX_WORKERS;
const HEADER_WORDS = H_RESERVED + MAX_WORKERS;

/** Where pages lie. */
export interface PagesPlan {
  readonly memory: SharedArrayBuffer;
  /** A multiple of 4. */
  readonly from: number;
  readonly count: number;
  /** A multiple of 8. */
  readonly pageBytes: number;
}

/** Pages have numbers from 1 on; 0 is none. Memory full of zeros has all pages free. */
export class SharedPages {
  /** Needed beside the pages, each of which needs 4 bytes more. */
  static readonly FIXED_BYTES = 4 * HEADER_WORDS + 8;
  readonly pageBytes: number;
  readonly bytes: Uint8Array;
  /** By page less one: the next page of the same blob, or among the free. */
  readonly next: Int32Array;
  readonly #header: Int32Array;
  readonly #count: number;

  constructor({ memory, from, count, pageBytes }: PagesPlan) {
    const linksAt = from + 4 * HEADER_WORDS;
    const pagesAt = Math.ceil((linksAt + 4 * count) / 8) * 8;
    this.pageBytes = pageBytes;
    this.bytes = new Uint8Array(memory, pagesAt, count * pageBytes);
    this.next = new Int32Array(memory, linksAt, count);
    this.#header = new Int32Array(memory, from, HEADER_WORDS);
    this.#count = count;
  }

  get free(): number {
    let free = this.#count - this.#header[H_TAKEN]!;
    for (let worker = 0; worker < MAX_WORKERS; worker++) free -= this.#header[H_RESERVED + worker]!;
    return free;
  }

  /** What a worker's blobs and reservations take. */
  countOf(worker: number): number {
    return Atomics.load(this.#header, H_OF + worker) + Atomics.load(this.#header, H_RESERVED + worker);
  }

  /** @param pages below 0 to give some back. */
  reserve(worker: number, pages: number): void {
    this.#header[H_RESERVED + worker]! += pages;
  }

  /** Gives back what a worker has reserved; its blobs stay. */
  forget(worker: number): void {
    this.#header[H_RESERVED + worker] = 0;
  }

  /** Takes pages, as many of which are free. @returns the first. */
  take(pages: number, worker: number): number {
    const { next } = this;
    let first = 0;
    for (let i = 0; i < pages; i++) {
      let page = this.#header[H_FREE]!;
      if (page !== 0) this.#header[H_FREE] = next[page - 1]!;
      else page = ++this.#header[H_USED_ONCE]!;
      next[page - 1] = first;
      first = page;
    }
    this.#header[H_TAKEN]! += pages;
    this.#header[H_OF + worker]! += pages;
    return first;
  }

  /** Gives back a blob's pages. @param worker who took them. */
  give(first: number, worker: number): void {
    let pages = 0;
    for (let page = first; page !== 0; pages++) {
      const following = this.next[page - 1]!;
      this.next[page - 1] = this.#header[H_FREE]!;
      this.#header[H_FREE] = page;
      page = following;
    }
    this.#header[H_TAKEN]! -= pages;
    this.#header[H_OF + worker]! -= pages;
  }

  /** Writes a blob into its pages. */
  fill(first: number, parts: readonly Uint8Array[]): void {
    const { bytes, pageBytes, next } = this;
    let page = first;
    let used = 0;
    for (const part of parts) {
      for (let at = 0; at < part.length; ) {
        if (used === pageBytes) {
          page = next[page - 1]!;
          used = 0;
        }
        const count = Math.min(part.length - at, pageBytes - used);
        bytes.set(part.subarray(at, at + count), (page - 1) * pageBytes + used);
        at += count;
        used += count;
      }
    }
  }

  /** A page as a number. */
  value(page: number): Float64Array {
    return new Float64Array(this.bytes.buffer, this.bytes.byteOffset + (page - 1) * this.pageBytes, 1);
  }
}

/** A blob of a store, which stays as it is until it is closed. Cheapest to read from front to back. */
export class HeldBlob {
  readonly lengthBytes: number;
  readonly #pages: SharedPages;
  readonly #firstPage: number;
  readonly #onClose: () => void;
  /** Where the last read ended. */
  #page: number;
  #pageStart = 0;
  #isClosed = false;

  constructor(pages: SharedPages, place: { firstPage: number; lengthBytes: number }, onClose: () => void) {
    this.#pages = pages;
    this.lengthBytes = place.lengthBytes;
    this.#firstPage = place.firstPage;
    this.#page = place.firstPage;
    this.#onClose = onClose;
  }

  /** A copy of a part that lies inside the blob, in an ArrayBuffer of its own. */
  read(offset: number, length: number): Buffer<ArrayBuffer> {
    const into = Buffer.allocUnsafeSlow(length) as Buffer<ArrayBuffer>;
    this.copy(offset, into);
    return into;
  }

  /** Fills `into` with what begins at `offset`; all of it lies inside the blob. */
  copy(offset: number, into: Uint8Array): void {
    const { length } = into;
    const { bytes, pageBytes, next } = this.#pages;
    if (offset < this.#pageStart) {
      this.#page = this.#firstPage;
      this.#pageStart = 0;
    }
    for (let at = 0; at < length; ) {
      while (offset + at >= this.#pageStart + pageBytes) {
        this.#page = next[this.#page - 1]!;
        this.#pageStart += pageBytes;
      }
      const inPage = offset + at - this.#pageStart;
      const count = Math.min(length - at, pageBytes - inPage);
      const from = (this.#page - 1) * pageBytes + inPage;
      into.set(bytes.subarray(from, from + count), at);
      at += count;
    }
  }

  /** Lets go. Further calls do nothing. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onClose();
  }
}
