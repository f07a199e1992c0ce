/** The cache of file lists (flist/shared-lists.ts), which is loaded for the first session that wants it; serving.ts makes one per configuration. */

import type { ListCache, ListCacheCounts, ListStores } from '../flist/shared-lists.ts';

/** Stands for the cache until there is one. */
export class LateListCache {
  readonly #stores: ListStores;
  readonly #epoch: string;
  readonly #counts: ListCacheCounts;
  #loading: Promise<ListCache> | null = null;
  #cache: ListCache | null = null;
  #isClosed = false;

  /** @param epoch names the configuration: nothing is shared across two. */
  constructor(stores: ListStores, epoch: string, counts: ListCacheCounts) {
    this.#stores = stores;
    this.#epoch = epoch;
    this.#counts = counts;
  }

  /** What this event loop has put in and set aside, roughly. */
  get bytes(): number {
    return this.#stores.directories.bytes + this.#stores.recordings.bytes;
  }

  /** The cache, closed when this is. */
  get(): Promise<ListCache> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  /** Keeps nothing any more; sessions that share a list go on. */
  close(): void {
    this.#isClosed = true;
    this.#cache?.close();
  }

  async #load(): Promise<ListCache> {
    const { ListCache } = await import('../flist/shared-lists.ts');
    const cache = new ListCache(this.#stores, this.#epoch, this.#counts);
    if (this.#isClosed) cache.close();
    this.#cache = cache;
    return cache;
  }
}
