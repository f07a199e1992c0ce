import { chmodSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { fillFromStats, newEntry } from '../../../src/flist/entry.ts';
import { StoredDirectories } from '../../../src/flist/stored-directories.ts';
import type { StoredEntries } from '../../../src/flist/stored-entries.ts';
import { SharedStore } from '../../../src/store/shared-store.ts';
import type { ModuleView } from '../../../src/vfs/module-root.ts';
import { hitsOf } from '../../helpers/hits.ts';
import { makeSession, type SessionFixture } from '../support/session-context.ts';
import { cleanUp, makeTree } from './list-fixture.ts';

const PAGE_BYTES = 256;
const sessions: SessionFixture[] = [];

afterEach(() => {
  for (const session of sessions.splice(0)) session.close();
  cleanUp();
});

/** Stores of two workers over the same memory. */
function twoStores(pages = 200): [SharedStore, SharedStore] {
  const size = { bytes: SharedStore.bytesFor(pages, PAGE_BYTES), pageBytes: PAGE_BYTES };
  const memory = new SharedArrayBuffer(size.bytes);
  return [new SharedStore(size, { memory, worker: 0 }), new SharedStore(size, { memory, worker: 1 })];
}

async function viewOf(root: string): Promise<ModuleView> {
  const session = await makeSession({ root });
  sessions.push(session);
  return session.context.view;
}

function directoriesOf(store: SharedStore, view: ModuleView, listCacheWaitMs = 60_000): StoredDirectories {
  return new StoredDirectories(store, {
    ...{ name: 'tree', tag: 1, view },
    limits: { listCacheWaitMs },
    onReading: () => {},
  });
}

function namesOf(entries: StoredEntries | null): string[] {
  return Array.from({ length: entries?.count ?? 0 }, (_, i) => entries!.name(i)).sort();
}

describe('a stored directory', () => {
  it('has of each entry what the file system says of it', async () => {
    const root = makeTree({ file: 'content', 'sub/': '', link: '-> file', 'caf\xe9': '' });
    chmodSync(join(root, 'file'), 0o4751);
    const view = await viewOf(root);
    const [store] = twoStores();
    const directories = directoriesOf(store, view);
    for (const entries of [await directories.read(view.root), await directories.read(view.root)]) {
      expect(namesOf(entries)).toEqual(['caf\xc3\xa9', 'file', 'link', 'sub']);
      for (let i = 0; i < entries!.count; i++) {
        const stats = view.lstat(view.root, entries!.name(i));
        const [wanted, filled, again] = [newEntry(), newEntry(), newEntry()];
        fillFromStats(wanted, stats);
        entries!.fill(i, filled);
        fillFromStats(again, entries!.stats(i));
        expect([filled, again]).toEqual([wanted, wanted]);
        const { ctimeNs, mtimeNs, size, dev, ino, rdev } = entries!.stats(i);
        expect({ ctimeNs, mtimeNs, dev, ino, rdev, size }).toMatchObject({
          ...{ ctimeNs: stats.ctimeNs, mtimeNs: stats.mtimeNs, dev: stats.dev, ino: stats.ino, rdev: stats.rdev },
          size: stats.size,
        });
        expect(entries!.linkTarget(i)?.toString() ?? null).toBe(entries!.name(i) === 'link' ? 'file' : null);
      }
    }
  });

  it('is read once for all workers', async () => {
    const root = makeTree({ a: '', 'sub/b': '' });
    const view = await viewOf(root);
    const [ours, theirs] = twoStores();
    const directories = [directoriesOf(ours, view), directoriesOf(theirs, view)] as const;
    let both: (StoredEntries | null)[] = [];
    const hits = await hitsOf('listCacheWaitMs', async () => {
      both = await Promise.all(directories.map((one) => one.read(view.root)));
    });
    expect(hits).toBe(0);
    writeFileSync(join(root, 'later'), '');
    both.push(await directories[1].read(view.root));
    expect(both.map(namesOf)).toEqual(Array(3).fill(['a', 'sub']));
    expect(namesOf(await directories[0].read(view.root.child(Buffer.from('sub'))))).toEqual(['b']);
  });

  it('is read by another when who reads it does not come to an end', async () => {
    const view = await viewOf(makeTree({ a: '' }));
    const [ours, theirs] = twoStores();
    const hanging = { readdir: () => new Promise(() => {}) } as unknown as ModuleView;
    void directoriesOf(ours, hanging).read(view.root);
    let read: StoredEntries | null = null;
    const hits = await hitsOf('listCacheWaitMs', async () => {
      read = await directoriesOf(theirs, view, 20).read(view.root);
    });
    expect([namesOf(read), hits]).toEqual([['a'], 1]);
  });

  it('is none that cannot be read, and that is not kept', async () => {
    const root = makeTree({ 'sub/a': '' });
    const view = await viewOf(root);
    const [store] = twoStores();
    const directories = directoriesOf(store, view);
    const sub = view.root.child(Buffer.from('other'));
    expect(await directories.read(sub)).toBeNull();
    renameSync(join(root, 'sub'), join(root, 'other'));
    expect(namesOf(await directories.read(sub))).toEqual(['a']);
  });

  it('that vanishes in part while it is read is not kept', async () => {
    const root = makeTree({ a: '', b: '' });
    const view = await viewOf(root);
    const [store] = twoStores();
    const ghost = Object.assign(Object.create(view), {
      readdir: async () => ['a', 'ghost', 'b'],
      lstat: view.lstat.bind(view),
    }) as ModuleView;
    const entries = await directoriesOf(store, ghost).read(view.root);
    expect([0, 1, 2].map((i) => entries!.isKnown(i))).toEqual([true, false, true]);
    expect(namesOf(await directoriesOf(store, view).read(view.root))).toEqual(['a', 'b']);
  });

  it('stays when the rest of its tree does not fit', async () => {
    const names = Array.from({ length: 10 }, (_, i) => `d${i}`);
    const root = makeTree(Object.fromEntries(names.map((name) => [`${name}/file`, ''])));
    const view = await viewOf(root);
    const [store] = twoStores(4);
    const directories = directoriesOf(store, view);
    const read = async () => {
      const found: string[][] = [];
      for (const name of names) found.push(namesOf(await directories.read(view.root.child(Buffer.from(name)))));
      return found;
    };
    // Who reads the first that does not fit still gets it; from then on each looks for itself.
    const first = await read();
    expect(first.map((one) => one.length > 0)).toEqual(names.map((_, i) => i < 5));
    const second = await read();
    expect(second.map((one) => one.length > 0)).toEqual(names.map((_, i) => i < 4));
  });
});
