/**
 * Directories of one tree that clients share: who is first reads one, all others get what was read, whatever their options and
 * filters. scan.ts asks for each directory; shared-lists.ts has one of these for each tree.
 *
 * Reading never waits for a client, so that one which does not go on, or goes away, holds nobody up.
 */

import { FileError } from '../errors.ts';
import { limitHits } from '../limit-hits.ts';
import type { Limits } from '../limits.ts';
import { monotonicMs } from '../shared.ts';
import { TimeSlice } from '../slice.ts';
import type { HeldBlob } from '../store/pages.ts';
import type { Claim, SharedStore } from '../store/shared-store.ts';
import { storeKey } from '../store/slots.ts';
import type { ModuleView } from '../vfs/module-root.ts';
import type { DirectoryPath } from '../vfs/path.ts';
import { StoredEntries, StoredEntriesBuilder } from './stored-entries.ts';

export interface StoredTree {
  /** Tells it from all other trees. */
  readonly name: string;
  /** For SharedStore.drop. */
  readonly tag: number;
  /** Not a session's. */
  readonly view: ModuleView;
  readonly limits: Pick<Limits, 'listCacheWaitMs'>;
  /** Called when a directory begins to be read, and when that has ended. */
  readonly onReading: (isReading: boolean) => void;
}

/** One per tree and worker. */
export class StoredDirectories {
  readonly #store: SharedStore;
  readonly #tree: StoredTree;
  #isFull = false;

  constructor(store: SharedStore, tree: StoredTree) {
    this.#store = store;
    this.#tree = tree;
  }

  /** The entries of a directory; null when they cannot be shared: the caller looks for itself, and reports what is wrong. */
  async read(directory: DirectoryPath): Promise<StoredEntries | null> {
    const { name, tag, limits } = this.#tree;
    const key = storeKey(`${name} ${directory.toBuffer().toString('latin1')}`);
    if (this.#isFull) return entriesOf(this.#store.find(key));
    const endMs = monotonicMs() + limits.listCacheWaitMs;
    for (;;) {
      const claimed = this.#store.claim(key, tag, limits.listCacheWaitMs);
      if (claimed.kind === 'found') return entriesOf(claimed.blob);
      const leftMs = endMs - monotonicMs();
      if (leftMs <= 0) limitHits.count('listCacheWaitMs');
      if (claimed.kind === 'ours') return this.#fill(directory, claimed.claim);
      if (claimed.kind === 'full' || leftMs <= 0) return null;
      await this.#store.change(claimed.slot, leftMs);
    }
  }

  /** Reads a directory and puts it into the store. */
  async #fill(directory: DirectoryPath, claim: Claim): Promise<StoredEntries | null> {
    const { view, onReading } = this.#tree;
    onReading(true);
    try {
      const names = await view.readdir(directory);
      if (!this.#store.couldHold(StoredEntriesBuilder.bytesFor(names))) {
        this.#store.abandon(claim);
        return null;
      }
      const builder = new StoredEntriesBuilder(names);
      const slice = new TimeSlice();
      while (!builder.goOn(view, directory, slice)) await slice.yield();
      // What vanishes while it is read belongs to the message of one client only.
      if (!builder.isWhole) this.#store.abandon(claim);
      else if (!this.#store.publish(claim, builder.parts(), true)) this.#isFull = true;
      return builder.entries();
    } catch (thrown) {
      this.#store.abandon(claim);
      if (thrown instanceof FileError) return null;
      throw thrown;
    } finally {
      onReading(false);
    }
  }
}

function entriesOf(blob: HeldBlob | null): StoredEntries | null {
  if (blob === null) return null;
  const entries = new StoredEntries(blob.read(0, blob.lengthBytes));
  blob.close();
  return entries;
}
