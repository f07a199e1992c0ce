/**
 * The cache behind `file_list_cache`: one scan for all clients of a module that ask for the same list. One per event loop;
 * transfer-phase.ts asks for each session.
 *
 * A tree is what clients of a module may share until it is too old, a recording one way to list it. Sessions that play a
 * recording keep it whatever becomes of the cache.
 */

import { FileError } from '../errors.ts';
import { TimeSlice } from '../slice.ts';
import { type ModuleRoot, ModuleView } from '../vfs/module-root.ts';
import { closeModuleRoot, duplicateModuleRoot } from '../vfs/open-root.ts';
import type { DirectoryPath } from '../vfs/path.ts';
import type { ListContext, ModuleListing } from './context.ts';
import { listKey } from './list-key.ts';
import { RecordedLists } from './recorded-lists.ts';
import { Recording } from './recording.ts';
import type { SourceArgument } from './source-argument.ts';

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
  readonly args: readonly SourceArgument[];
  readonly settings: ListCacheSettings;
}

/** What became of the requests of all sessions. */
export interface ListCacheCounts {
  hits: number;
  misses: number;
  /** Sessions that shared nothing because of what they asked for. */
  bypassed: number;
}

/** What clients of a module share. */
class SharedTree {
  readonly recordings = new Map<string, Recording>();
  readonly view: ModuleView;
  readonly #rootFd: number;
  readonly #identity: string;
  readonly #bornMs = performance.now();
  /** Sessions that play one of its recordings, and lists that are being made. */
  #users = 0;
  /** A list of it did not fit. */
  isTooBig = false;
  #isDropped = false;
  #isClosed = false;

  constructor({ context, root }: ListRequest, identity: string) {
    this.#rootFd = duplicateModuleRoot(root.fd);
    this.#identity = identity;
    this.view = new ModuleView({ ...root, fd: this.#rootFd }, context.limits);
  }

  isFresh(identity: string, { maxAgeMs }: ListCacheSettings): boolean {
    return this.#identity === identity && performance.now() - this.#bornMs < maxAgeMs;
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

/** Where a kept recording stands, and how much of the bound it takes. */
interface Kept {
  readonly tree: SharedTree;
  readonly key: string;
  bytes: number;
}

/** Bounded; the recording that was used longest ago goes first. */
export class ListCache {
  readonly #maxBytes: number;
  readonly #counts: ListCacheCounts;
  readonly #trees = new Map<ModuleListing, SharedTree>();
  /** In the order of their last use. */
  readonly #kept = new Map<Recording, Kept>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #bytes = 0;
  #isClosed = false;

  /** @param maxBytes bound on what is kept for sessions to come. */
  constructor(maxBytes: number, counts: ListCacheCounts = { hits: 0, misses: 0, bypassed: 0 }) {
    this.#maxBytes = maxBytes;
    this.#counts = counts;
  }

  /** What is kept occupies about so many bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The lists that a session shares with others; null when it has to scan for itself. @throws FileError */
  open(request: ListRequest): RecordedLists | null {
    const { context } = request;
    const key = this.#isClosed ? null : listKey(context, request.args);
    const tree = key === null ? null : this.#treeFor(request);
    if (key === null || tree === null || tree.isTooBig) {
      this.#counts.bypassed++;
      return null;
    }
    const known = tree.recordings.get(key);
    const recording = known?.isUsable ? known : this.#record(tree, key, request);
    if (recording === known) this.#counts.hits++;
    else this.#counts.misses++;
    this.#use(recording);
    tree.enter();
    return new RecordedLists(recording, context, () => tree.leave());
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
    const identity = identityOf(request);
    const known = this.#trees.get(module);
    if (known?.isFresh(identity, settings)) return known;
    this.#dropTree(module);
    const tree = new SharedTree(request, identity);
    this.#trees.set(module, tree);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (this.#trees.get(module) === tree) this.#dropTree(module);
    }, settings.maxAgeMs);
    this.#timers.add(timer.unref());
    return tree;
  }

  #record(tree: SharedTree, key: string, { context, args }: ListRequest): Recording {
    const recording: Recording = new Recording({
      context: { ...context, view: tree.view, slice: new TimeSlice() },
      args,
      onGrowth: () => this.#grown(recording),
      onSpoiled: () => this.#forget(recording),
      onMaking: (isMaking) => (isMaking ? tree.enter() : tree.leave()),
    });
    tree.recordings.set(key, recording);
    this.#kept.set(recording, { tree, key, bytes: 0 });
    return recording;
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
    this.#bytes += recording.bytes - kept.bytes;
    kept.bytes = recording.bytes;
    while (this.#bytes > this.#maxBytes) {
      const [oldest] = this.#kept.keys();
      // SECURITY: a tree that does not fit must not push the others out with each of its clients.
      if (this.#kept.size === 1) kept.tree.isTooBig = true;
      this.#forget(oldest!);
    }
  }

  /** Keeps a recording no longer. */
  #forget(recording: Recording): void {
    const kept = this.#kept.get(recording);
    if (kept === undefined) return;
    this.#kept.delete(recording);
    kept.tree.recordings.delete(kept.key);
    this.#bytes -= kept.bytes;
    recording.release();
  }

  #dropTree(module: ModuleListing): void {
    const tree = this.#trees.get(module);
    if (tree === undefined) return;
    this.#trees.delete(module);
    for (const recording of [...tree.recordings.values()]) this.#forget(recording);
    tree.drop();
  }
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
