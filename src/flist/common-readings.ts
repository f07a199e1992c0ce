/**
 * Directories that several clients list at the same time: each is read once for all of them. One per event loop; transfer-phase.ts
 * makes the sessions members whose module has no `file_list_cache`, scan.ts asks for each directory.
 *
 * Nothing of it is configured, since nobody gets what was read before his own lists began. Whoever waits for a directory goes on
 * with it in turns of his own, so that nobody depends on the client who came first.
 */

import { FileError } from '../errors.ts';
import { monotonicMs } from '../shared.ts';
import type { DirectoryPath } from '../vfs/path.ts';
import type { CommonDirectories, ListContext } from './context.ts';
import { DirectoryReading } from './directory-reading.ts';
import type { SourceArgument } from './source-argument.ts';
import type { StoredEntries } from './stored-entries.ts';

/** Age up to which a reading is shared: clients that came together are not everywhere at the same moment. */
const SHARED_MS = 5000;
/** All that is kept, and the longest directory of it. */
const MOST_BYTES = 32 * 1024 * 1024;
const MOST_DIRECTORY_BYTES = MOST_BYTES / 2;
/** What a reading costs beside its entries, roughly. */
const BASE_BYTES = 1024;

/** Directories that a session read for others, and that others had read for it. */
export interface ReadingCounts {
  read: number;
  shared: number;
}

/** What a session reads with. */
type Reader = Pick<ListContext, 'view' | 'slice' | 'writer'>;

/** A session's part in it. */
export interface ReadingMember extends CommonDirectories {
  /** Must follow when the session ends. */
  leave(): void;
}

export class CommonReadings {
  readonly #counts: ReadingCounts;
  readonly #groups = new Map<string, Group>();
  /** The oldest comes first. */
  readonly #kept = new Map<DirectoryReading, Kept>();
  #bytes = 0;
  #sweep: NodeJS.Timeout | null = null;

  constructor(counts: ReadingCounts = { read: 0, shared: 0 }) {
    this.#counts = counts;
  }

  /** What is kept, roughly. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A session whose lists begin now. @param args what it lists: to whoever lists something else it is of no use. */
  join(context: Reader & Pick<ListContext, 'module'>, args: readonly SourceArgument[]): ReadingMember {
    const { view, module } = context;
    const { dev, ino } = view.statDirectory(view.root);
    const paths = args.map(({ base, name }) => [base.toString('latin1'), name.toString('latin1')]);
    const key = JSON.stringify([module.name, `${dev}:${ino}`, paths]);
    const group = this.#groups.get(key) ?? new Group();
    this.#groups.set(key, group);
    group.join();
    const member: Member = { group, reader: context, sinceMs: monotonicMs() };
    return {
      read: (directory) => this.#read(member, directory),
      leave: () => {
        if (!group.leave(member)) return;
        this.#groups.delete(key);
        for (const reading of group.readings.values()) this.#forget(reading);
      },
    };
  }

  async #read(member: Member, directory: DirectoryPath): Promise<StoredEntries | null> {
    const { group, reader, sinceMs } = member;
    const nowMs = monotonicMs();
    if (!group.hasOthersThan(member, nowMs)) return null;
    const path = directory.toBuffer().toString('latin1');
    const known = group.readings.get(path);
    const isUsable = known !== undefined && known.beganMs >= sinceMs && nowMs - known.beganMs <= SHARED_MS;
    const reading = isUsable ? known : this.#begin(member, directory, path);
    try {
      if (!reading.isListed) {
        await reading.listed;
        // SECURITY: all who have waited for the names would go on in one turn of the event loop.
        if (isUsable) await reader.slice.yield();
      }
      const entries = await finish(reading, reader);
      if (entries !== null) this.#counts[isUsable ? 'shared' : 'read']++;
      return entries;
    } catch (thrown) {
      this.#forget(reading);
      if (thrown instanceof FileError) return null;
      throw thrown;
    }
  }

  #begin({ group, reader }: Member, directory: DirectoryPath, path: string): DirectoryReading {
    const onVanished = () => this.#forget(reading);
    const mayKeep = (bytes: number) => bytes <= MOST_DIRECTORY_BYTES && this.#grow(reading, bytes);
    const reading: DirectoryReading = new DirectoryReading({ directory, mayKeep, onVanished }, reader.view);
    group.readings.set(path, reading);
    const forget = () => {
      if (group.readings.get(path) === reading) group.readings.delete(path);
    };
    this.#kept.set(reading, { forget, bytes: 0 });
    this.#grow(reading, BASE_BYTES);
    this.#sweepLater();
    return reading;
  }

  /** @returns whether it is still kept. */
  #grow(reading: DirectoryReading, bytes: number): boolean {
    const kept = this.#kept.get(reading);
    if (kept === undefined) return false;
    kept.bytes += bytes;
    this.#bytes += bytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= MOST_BYTES) break;
      this.#forget(oldest);
    }
    return this.#kept.has(reading);
  }

  /** Those who are at it go on. */
  #forget(reading: DirectoryReading): void {
    const kept = this.#kept.get(reading);
    if (kept === undefined) return;
    this.#kept.delete(reading);
    this.#bytes -= kept.bytes;
    kept.forget();
  }

  #sweepLater(): void {
    if (this.#kept.size === 0) return;
    this.#sweep ??= setTimeout(() => {
      this.#sweep = null;
      const beganMs = monotonicMs() - SHARED_MS;
      for (const reading of this.#kept.keys()) if (reading.beganMs < beganMs) this.#forget(reading);
      this.#sweepLater();
    }, SHARED_MS).unref();
  }
}

interface Kept {
  readonly forget: () => void;
  bytes: number;
}

/** A session of a group. */
interface Member {
  readonly group: Group;
  readonly reader: Reader;
  readonly sinceMs: number;
}

/** Sessions that list the same. */
class Group {
  #members = 0;
  /** By path. */
  readonly readings = new Map<string, DirectoryReading>();
  /** Who has asked last, when that was, and when anybody else did. */
  #last: Member | null = null;
  #lastMs = Number.NEGATIVE_INFINITY;
  #otherMs = Number.NEGATIVE_INFINITY;

  join(): void {
    this.#members++;
  }

  /** @returns whether it was the last. */
  leave(member: Member): boolean {
    if (this.#last === member) this.#last = null;
    return --this.#members === 0;
  }

  /** Notes that a member asks. @returns whether others do, too: alone it is quicker without. */
  hasOthersThan(member: Member, nowMs: number): boolean {
    if (this.#last !== member) this.#otherMs = this.#lastMs;
    this.#last = member;
    this.#lastMs = nowMs;
    return nowMs - this.#otherMs < SHARED_MS;
  }
}

/** Reads on until all is there; null when it may not be kept, or the client is gone. */
async function finish(reading: DirectoryReading, { view, slice, writer }: Reader): Promise<StoredEntries | null> {
  while (!reading.goOn(view, slice)) {
    await slice.yield();
    if (writer.isBroken) return null;
  }
  return reading.entries;
}
