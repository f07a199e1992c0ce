/** The lists of a session that its client may still refer to; lists.ts keeps them here. */

import type { FileList } from './file-list.ts';

/** Released lists are dropped in batches of this size. */
const BATCH = 1024;

/** Lists in order of their start. */
export class LiveLists {
  /** Those from `#oldest` on are live. */
  #lists: FileList[] = [];
  #oldest = 0;

  add(list: FileList): void {
    this.#lists.push(list);
  }

  get isEmpty(): boolean {
    return this.#oldest === this.#lists.length;
  }

  /** The oldest live list; undefined when all are released. */
  get oldest(): FileList | undefined {
    return this.#lists[this.#oldest];
  }

  /** Forgets the oldest list. */
  releaseOldest(): void {
    this.#oldest++;
    // One by one, the array would be moved for each of a million directories.
    if (this.#oldest < BATCH && this.#oldest < this.#lists.length) return;
    this.#lists = this.#lists.slice(this.#oldest);
    this.#oldest = 0;
  }

  /** The list whose range, the index below its start included, may hold `ndx`. */
  around(ndx: number): FileList | null {
    let low = this.#oldest;
    let high = this.#lists.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#lists[middle]!.start - 1 <= ndx) low = middle;
      else high = middle - 1;
    }
    return this.#lists[low] ?? null;
  }
}
