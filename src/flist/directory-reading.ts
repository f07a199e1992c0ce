/** One directory as it is read for several sessions, each of which may go on with it in turns of its own; common-readings.ts has them. */

import { monotonicMs } from '../shared.ts';
import type { TimeSlice } from '../slice.ts';
import type { ModuleView } from '../vfs/module-root.ts';
import type { DirectoryPath } from '../vfs/path.ts';
import { type StoredEntries, StoredEntriesBuilder } from './stored-entries.ts';

export interface ReadingPlan {
  readonly directory: DirectoryPath;
  /** Called once the names are there. @returns whether so many bytes may be kept for others. */
  readonly mayKeep: (bytes: number) => boolean;
  /** Called when a name had vanished when it was looked at: whoever comes later must not be told of it. */
  readonly onVanished: () => void;
}

export class DirectoryReading {
  /** Nothing in it is older. */
  readonly beganMs = monotonicMs();
  /** Resolves when the names are there. @throws FileError */
  readonly listed: Promise<void>;
  readonly #plan: ReadingPlan;
  #isListed = false;
  #builder: StoredEntriesBuilder | null = null;
  #entries: StoredEntries | null = null;

  /** Lists the names. @param view of any session, as in `goOn`. */
  constructor(plan: ReadingPlan, view: ModuleView) {
    this.#plan = plan;
    this.listed = this.#list(view);
  }

  get isListed(): boolean {
    return this.#isListed;
  }

  /** All entries; null before they are there, and for good when they may not be kept. */
  get entries(): StoredEntries | null {
    return this.#entries;
  }

  /** Looks at entries until all are there or the slice is over. @returns whether there is nothing left to do. */
  goOn(view: ModuleView, slice: Pick<TimeSlice, 'expired'>): boolean {
    const builder = this.#builder;
    if (builder === null || this.#entries !== null) return true;
    const isComplete = builder.goOn(view, this.#plan.directory, slice);
    if (!builder.isWhole) this.#plan.onVanished();
    if (isComplete) this.#entries = builder.entries();
    return isComplete;
  }

  async #list(view: ModuleView): Promise<void> {
    const names = await view.readdir(this.#plan.directory);
    if (this.#plan.mayKeep(StoredEntriesBuilder.bytesFor(names))) this.#builder = new StoredEntriesBuilder(names);
    this.#isListed = true;
  }
}
