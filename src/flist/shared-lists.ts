/**
 * The cache behind `file_list_cache`: one scan for all clients of a module. One per event loop, over memory that all see;
 * transfer-phase.ts asks for each session.
 *
 * A tree is what clients of a module may share until it is too old. Its directories are read once for all (stored-directories.ts).
 * Clients that ask for the same list also share the bytes that it is sent in: while it is made, those of one event loop play a
 * recording; once it is complete it is published to all. Sessions that play something keep it whatever becomes of the cache.
 */

import { FileError } from '../errors.ts';
import { monotonicMs } from '../shared.ts';
import { TimeSlice } from '../slice.ts';
import type { SharedStore } from '../store/shared-store.ts';
import { storeKey } from '../store/slots.ts';
import { type ModuleRoot, ModuleView } from '../vfs/module-root.ts';
import { closeModuleRoot, duplicateModuleRoot } from '../vfs/open-root.ts';
import type { DirectoryPath } from '../vfs/path.ts';
import type { ListContext, ModuleListing } from './context.ts';
import { ListBuilder } from './list-builder.ts';
import { listKey } from './list-key.ts';
import type { ListSource } from './list-source.ts';
import { PublishedLists, publishedParts } from './published-lists.ts';
import { RecordedLists } from './recorded-lists.ts';
import { type RecordedList, Recording } from './recording.ts';
import type { SourceArgument } from './source-argument.ts';
import { StoredDirectories } from './stored-directories.ts';

/** Of a generation file, more is not looked at: a number or a name stands in it. */
const GENERATION_BYTES = 4096;

/** What a module says of its cache. */
export interface ListCacheSettings {
  /** Age of a scan that a new session may still share; above 0. */
  readonly maxAgeMs: number;
  /** Path from the module root; null without. */
  readonly generationFile: Buffer | null;
}

/** What a session would list. */
export interface ListRequest {
  readonly context: ListContext;
  /** The session's own. */
  readonly root: ModuleRoot;
  /** Null when they are not known beforehand. */
  readonly args: readonly SourceArgument[] | null;
  readonly settings: ListCacheSettings;
}

/** What became of the requests of all sessions. */
export interface ListCacheCounts {
  hits: number;
  misses: number;
  /** Sessions whose list is theirs alone, because of what they asked for; they share directories all the same. */
  bypassed: number;
}

/** Where things are kept, for all workers. */
export interface ListStores {
  readonly directories: SharedStore;
  readonly recordings: SharedStore;
}

/** The lists of a session that shares something. Close it when the session ends. */
export interface SharedLists {
  readonly source: ListSource;
  close(): void;
}

/** What clients of a module share. */
class SharedTree {
  /** Made here and not complete. */
  readonly recordings = new Map<string, Recording>();
  readonly view: ModuleView;
  readonly directories: StoredDirectories;
  readonly name: string;
  readonly tag: number;
  readonly #rootFd: number;
  /** Sessions that play one of its recordings or list for themselves, and directories that are being read. */
  #users = 0;
  /** A list of it did not fit. */
  isTooBig = false;
  #isDropped = false;
  #isClosed = false;

  /** @param name of this tree, at no other time and of no other. */
  constructor({ context, root }: ListRequest, name: string, store: SharedStore) {
    const { limits } = context;
    this.#rootFd = duplicateModuleRoot(root.fd);
    this.name = name;
    this.tag = storeKey(name).readInt32LE(0) | 1;
    this.view = new ModuleView({ ...root, fd: this.#rootFd }, limits);
    const onReading = (isReading: boolean) => (isReading ? this.enter() : this.leave());
    this.directories = new StoredDirectories(store, { name, tag: this.tag, view: this.view, limits, onReading });
  }

  drop(): void {
    this.#isDropped = true;
    this.#closeIfIdle();
  }

  enter(): void {
    this.#users++;
  }

  leave(): void {
    this.#users--;
    this.#closeIfIdle();
  }

  /** Closes its descriptors when nobody will use them any more. */
  #closeIfIdle(): void {
    if (!this.#isDropped || this.#isClosed || this.#users > 0) return;
    this.#isClosed = true;
    this.view.close();
    closeModuleRoot(this.#rootFd);
  }
}

/** Where a kept recording stands, and how much of the store is set aside for it. */
interface Kept {
  readonly tree: SharedTree;
  readonly key: string;
  bytes: number;
}

/** Bounded; what was used longest ago goes first. */
export class ListCache {
  readonly #stores: ListStores;
  readonly #epoch: string;
  readonly #counts: ListCacheCounts;
  readonly #trees = new Map<ModuleListing, SharedTree>();
  /** In the order of their last use. */
  readonly #kept = new Map<Recording, Kept>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #isClosed = false;

  /** @param epoch names the configuration: nothing is shared across two. */
  constructor(stores: ListStores, epoch: string, counts: ListCacheCounts = { hits: 0, misses: 0, bypassed: 0 }) {
    this.#stores = stores;
    this.#epoch = epoch;
    this.#counts = counts;
  }

  /** What this event loop has put in and set aside, roughly. */
  get bytes(): number {
    return this.#stores.directories.bytes + this.#stores.recordings.bytes;
  }

  /** The lists of a session; null when it has to scan for itself. @throws FileError */
  open(request: ListRequest): SharedLists | null {
    if (this.#isClosed) return null;
    const { context, args } = request;
    const tree = this.#treeFor(request);
    const key = args === null ? null : listKey(context, args);
    if (key === null || tree.isTooBig) {
      this.#counts.bypassed++;
      const source = new ListBuilder({ ...context, directories: tree.directories });
      return entered(tree, source);
    }
    const published = this.#stores.recordings.find(storeKey(`${tree.name} ${key}`));
    if (published !== null) {
      this.#counts.hits++;
      const lists = new PublishedLists(published, context);
      return { source: lists, close: () => lists.close() };
    }
    const known = tree.recordings.get(key);
    const recording = known?.isUsable ? known : this.#record(tree, key, { context, args: args! });
    if (recording === known) this.#counts.hits++;
    else this.#counts.misses++;
    this.#use(recording);
    const lists = new RecordedLists(recording, context);
    return entered(tree, lists, () => lists.close());
  }

  /** Keeps nothing any more; sessions that share a list go on. */
  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const module of [...this.#trees.keys()]) this.#dropTree(module);
  }

  #treeFor(request: ListRequest): SharedTree {
    const { context, settings } = request;
    const { module } = context;
    const { maxAgeMs } = settings;
    const place = JSON.stringify([this.#epoch, module.name, identityOf(request)]);
    const nowMs = monotonicMs();
    const isFresh = (bornMs: number) => nowMs - bornMs < maxAgeMs;
    const bornMs = this.#stores.directories.agree(storeKey(place), isFresh, nowMs);
    const name = `${place} ${bornMs}`;
    const known = this.#trees.get(module);
    if (known?.name === name) return known;
    this.#dropTree(module);
    const tree = new SharedTree(request, name, this.#stores.directories);
    this.#trees.set(module, tree);
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        if (this.#trees.get(module) === tree) this.#dropTree(module);
      },
      bornMs + maxAgeMs - nowMs,
    );
    this.#timers.add(timer.unref());
    return tree;
  }

  #record(tree: SharedTree, key: string, { context, args }: RecordRequest): Recording {
    const { view, directories } = tree;
    const recording: Recording = new Recording({
      context: { ...context, view, directories, slice: new TimeSlice() },
      args,
      onGrowth: () => this.#grown(recording),
      onComplete: (lists) => this.#publish(recording, lists),
      onSpoiled: () => this.#forget(recording),
      onMaking: (isMaking) => (isMaking ? tree.enter() : tree.leave()),
    });
    tree.recordings.set(key, recording);
    this.#kept.set(recording, { tree, key, bytes: 0 });
    return recording;
  }

  /** Gives a complete recording to all workers. */
  #publish(recording: Recording, lists: readonly RecordedList[]): void {
    const kept = this.#kept.get(recording);
    if (kept === undefined) return;
    const { tree, key } = kept;
    const { recordings } = this.#stores;
    const claimed = recordings.claim(storeKey(`${tree.name} ${key}`), tree.tag, 0);
    const parts = claimed.kind === 'ours' ? publishedParts(lists) : [];
    this.#forget(recording);
    if (claimed.kind === 'found') claimed.blob.close();
    if (claimed.kind === 'ours' && !recordings.publish(claimed.claim, parts, false)) tree.isTooBig = true;
  }

  /** Puts it behind all others. */
  #use(recording: Recording): void {
    const kept = this.#kept.get(recording)!;
    this.#kept.delete(recording);
    this.#kept.set(recording, kept);
    this.#grown(recording);
  }

  #grown(recording: Recording): void {
    const kept = this.#kept.get(recording);
    if (kept === undefined) return;
    const { recordings } = this.#stores;
    while (!recordings.reserve(kept.bytes, recording.bytes)) {
      const [oldest] = this.#kept.keys();
      // SECURITY: a tree that does not fit must not push the others out with each of its clients.
      if (this.#kept.size === 1) kept.tree.isTooBig = true;
      this.#forget(oldest!);
      if (oldest === recording) return;
    }
    kept.bytes = recording.bytes;
  }

  /** Keeps a recording no longer. */
  #forget(recording: Recording): void {
    const kept = this.#kept.get(recording);
    if (kept === undefined) return;
    this.#kept.delete(recording);
    kept.tree.recordings.delete(kept.key);
    this.#stores.recordings.reserve(kept.bytes, 0);
    recording.release();
  }

  #dropTree(module: ModuleListing): void {
    const tree = this.#trees.get(module);
    if (tree === undefined) return;
    this.#trees.delete(module);
    for (const recording of [...tree.recordings.values()]) this.#forget(recording);
    for (const store of [this.#stores.directories, this.#stores.recordings]) store.drop(tree.tag);
    tree.drop();
  }
}

interface RecordRequest {
  readonly context: ListContext;
  readonly args: readonly SourceArgument[];
}

/** Lists that need their tree until they are closed. */
function entered(tree: SharedTree, source: ListSource, close: () => void = () => {}): SharedLists {
  tree.enter();
  return {
    source,
    close: () => {
      close();
      tree.leave();
    },
  };
}

/** Changes when another directory or another generation is published. */
function identityOf({ context: { view }, settings: { generationFile } }: ListRequest): string {
  const { dev, ino } = view.statDirectory(view.root);
  const root = `${dev}:${ino}`;
  return generationFile === null ? root : `${root} ${generationOf(view, generationFile)}`;
}

function generationOf(view: ModuleView, path: Buffer): string {
  try {
    const place = view.locateFile(path);
    if (place === null) return 'none';
    const { dev, ino, size, mtimeNs, ctimeNs } = view.lstat(place.directory, place.name);
    const content = startOf(view, place.directory, place.name);
    return `${dev}:${ino} ${size} ${mtimeNs} ${ctimeNs} ${content.toString('latin1')}`;
  } catch (thrown) {
    if (thrown instanceof FileError) return 'none';
    throw thrown;
  }
}

function startOf(view: ModuleView, directory: DirectoryPath, name: Buffer): Buffer {
  const file = view.openFile(directory, name);
  try {
    const bytes = Buffer.alloc(Math.min(file.sizeBytes, GENERATION_BYTES));
    return bytes.subarray(0, file.readSync(bytes, 0));
  } finally {
    file.close();
  }
}
