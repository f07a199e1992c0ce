import { rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/flist/content-sum.ts';
import { DigestCache } from '../../../src/flist/digest-cache.ts';
import type { SourceDirectory } from '../../../src/flist/entry.ts';
import { SharedStore } from '../../../src/store/shared-store.ts';
import type { FileStats } from '../../../src/vfs/module-root.ts';
import { makeSession } from '../support/session-context.ts';
import { cleanUp, makeTree, TREE_MTIME } from './list-fixture.ts';

afterEach(cleanUp);

/** Memory of a store with room for so many sums. */
const storeOf = (sums: number) => new SharedStore({ bytes: SharedStore.bytesFor(sums, 32), pageBytes: 32 });
const newCache = (sums = 100) => new DigestCache(storeOf(sums));
const LONG_AGO = { size: 5n, mtimeNs: 1n, ctimeNs: 1n, dev: 1n, ino: 1n } as FileStats;

function statsOf(changes: Partial<FileStats>): FileStats {
  return { ...LONG_AGO, ...changes } as FileStats;
}

function keep(cache: DigestCache, stats: FileStats, seen: { before?: FileStats; after?: FileStats } = {}): void {
  cache.keep('md5', Buffer.from('sum'), { listed: stats, before: stats, after: stats, begunMs: Date.now(), ...seen });
}

describe('a kept sum', () => {
  it('is found for the same file and the same algorithm', () => {
    const cache = newCache();
    keep(cache, LONG_AGO);
    expect([cache.find('md5', LONG_AGO)?.toString(), cache.find('md4', LONG_AGO)]).toEqual(['sum', null]);
  });

  it.each(['size', 'mtimeNs', 'ctimeNs', 'dev', 'ino'] as const)('is not found when %s is another', (field) => {
    const cache = newCache();
    keep(cache, LONG_AGO);
    expect(cache.find('md5', statsOf({ [field]: 7n }))).toBeNull();
  });

  it('is not that of a file that changed while it was read, or before it was opened', () => {
    const cache = newCache();
    keep(cache, LONG_AGO, { after: statsOf({ ctimeNs: 2n }) });
    keep(cache, LONG_AGO, { before: statsOf({ size: 6n }), after: statsOf({ size: 6n }) });
    keep(cache, LONG_AGO, { before: statsOf({ ino: 2n }) });
    expect(cache.bytes).toBe(0);
  });

  it('is not that of a file that changed just now: it could change again within one tick of its clock', () => {
    const cache = newCache();
    const nowNs = BigInt(Date.now()) * 1_000_000n;
    keep(cache, statsOf({ ctimeNs: nowNs - 1_000_000_000n }));
    expect(cache.bytes).toBe(0);
    keep(cache, statsOf({ ctimeNs: nowNs - 60_000_000_000n }));
    expect(cache.bytes).toBeGreaterThan(0);
  });

  it('goes when others were used later and there is no room', () => {
    const cache = newCache(3);
    for (const ino of [1n, 2n, 3n]) keep(cache, statsOf({ ino }));
    cache.find('md5', statsOf({ ino: 1n }));
    keep(cache, statsOf({ ino: 4n }));
    const found = [1n, 2n, 3n, 4n].map((ino) => cache.find('md5', statsOf({ ino })) !== null);
    expect([found, cache.bytes]).toEqual([[true, false, true, true], 3 * 32]);
  });
});

describe('the sum of a listed file', () => {
  it('is computed once for all sessions, and anew when the file has changed', async () => {
    const root = makeTree({ file: 'content' });
    const counts = { hits: 0, misses: 0 };
    const cache = new DigestCache(storeOf(1), counts);
    // Its ctime is that of now: what a settled file is, the clock of `keep` decides.
    const settled = Object.assign(Object.create(cache), {
      find: cache.find.bind(cache),
      keep: (...[sum, digest, times]: Parameters<DigestCache['keep']>) =>
        cache.keep(sum, digest, { ...times, begunMs: times.begunMs + 60_000 }),
    }) as DigestCache;
    const session = await makeSession({ root, listSum: 'md5' });
    const inTurn = <T>(read: () => Promise<T>): Promise<T> => read();
    const context = { ...session.context, digests: { cache: settled, sum: 'md5' as const, inTurn } };
    const source = { directory: context.view.root } as SourceDirectory;
    const name = Buffer.from('file');
    const sum = async () => {
      const stats = context.view.lstat(source.directory, name);
      const examined = { stats, linkTarget: null, isFollowed: false, directory: null };
      return Buffer.from((await digestOf(context, source, name, examined))!).toString('hex');
    };
    const sums = [await sum(), await sum()];
    expect([sums[1], counts]).toEqual([sums[0], { hits: 1, misses: 1 }]);
    // Same length, same mtime: only the time of change tells.
    rmSync(join(root, 'file'));
    writeFileSync(join(root, 'file'), 'CONTENT');
    utimesSync(join(root, 'file'), TREE_MTIME, TREE_MTIME);
    expect(await sum()).not.toBe(sums[0]);
    expect(counts).toEqual({ hits: 1, misses: 2 });
    session.close();
  });
});
