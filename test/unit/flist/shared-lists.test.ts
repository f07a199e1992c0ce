import { renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { PeerGone } from '../../../src/errors.ts';
import type { ListContext } from '../../../src/flist/context.ts';
import { FileLists } from '../../../src/flist/lists.ts';
import { ListCache, type ListCacheSettings, type ListStores } from '../../../src/flist/shared-lists.ts';
import { parseSourceArgument } from '../../../src/flist/source-argument.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { SharedStore } from '../../../src/store/shared-store.ts';
import { closeModuleRoot, openModuleRoot } from '../../../src/vfs/open-root.ts';
import { dataOf, messagesOf } from '../support/bytes.ts';
import type { FakeTransport } from '../support/fake-transport.ts';
import { type ContextPlan, makeSession } from '../support/session-context.ts';
import { cleanUp, makeTree, TREE_MTIME } from './list-fixture.ts';

afterEach(cleanUp);

const MIB = 1024 ** 2;
const PAGE_BYTES = 512;
const KEPT: ListCacheSettings = { maxAgeMs: 3_600_000, generationFile: null };
const TREE = { 'a/f1': '1', 'a/b/f2': '22', 'a/b/c/f3': '333', top: 'top', 'e/': '', 'a-/x': 'x', link: '-> top' };
const DOT = [parseSourceArgument(Buffer.alloc(0), false)];

/** Enough files for many looks at the clock, and for more than one piece of output. */
const WIDE = Object.fromEntries(
  Array.from({ length: 3000 }, (_, i) => [`wide/${String(i).padStart(5, '0')}-${'x'.repeat(40)}`, '']),
);

/** Of worker 0, or of another one over the same memory. */
function storesOf(maxBytes: number): ListStores {
  return storesOver([new SharedArrayBuffer(maxBytes), new SharedArrayBuffer(maxBytes)], 0);
}

function storesOver([directories, recordings]: [SharedArrayBuffer, SharedArrayBuffer], worker: number): ListStores {
  const store = (memory: SharedArrayBuffer) =>
    new SharedStore({ bytes: memory.byteLength, pageBytes: PAGE_BYTES }, { memory, worker });
  return { directories: store(directories), recordings: store(recordings) };
}

/** Clients of two workers. */
function twoWorkers(root: string, settings: ListCacheSettings = KEPT): [Clients, Clients] {
  const memory: [SharedArrayBuffer, SharedArrayBuffer] = [new SharedArrayBuffer(MIB), new SharedArrayBuffer(MIB)];
  return [0, 1].map((worker) => new Clients(root, MIB, settings, storesOver(memory, worker))) as [Clients, Clients];
}

/** Sessions of one module with one cache. */
class Clients {
  readonly counts = { hits: 0, misses: 0, bypassed: 0 };
  readonly cache: ListCache;
  readonly #root: string;
  readonly #settings: ListCacheSettings;
  #module: ListContext['module'] | null = null;

  constructor(root: string, maxBytes = 64 * MIB, settings: ListCacheSettings = KEPT, stores = storesOf(maxBytes)) {
    this.cache = new ListCache(stores, 'epoch', this.counts);
    this.#root = root;
    this.#settings = settings;
  }

  /** A session as far as its lists; `lists` sends them. */
  async begin(plan: Partial<ContextPlan> = {}, shares = true) {
    const fixture = await makeSession({ root: this.#root, ...plan });
    this.#module ??= fixture.context.module;
    const context = { ...fixture.context, module: this.#module };
    const rootFd = openModuleRoot(Buffer.from(this.#root), DEFAULT_LIMITS);
    const shared = shares
      ? this.cache.open({ context, root: { fd: rootFd, linklessPath: null }, args: DOT, settings: this.#settings })
      : null;
    closeModuleRoot(rootFd);
    const lists = new FileLists(context, shared?.source);
    return {
      transport: fixture.transport as FakeTransport,
      context,
      lists,
      sendAll: async () => {
        await lists.sendFirst(DOT, false);
        while (!lists.isComplete) await lists.sendSubList();
        return fixture.sent();
      },
      close: () => {
        shared?.close();
        fixture.close();
      },
    };
  }

  /** A whole session. @returns what it was sent. */
  async list(plan: Partial<ContextPlan> = {}, shares = true): Promise<Buffer> {
    const session = await this.begin(plan, shares);
    try {
      return await session.sendAll();
    } finally {
      session.close();
    }
  }
}

const PLANS: readonly [string, Partial<ContextPlan>][] = [
  ['at protocol 32', { incRecurse: true }],
  ['in a single list', {}],
  ...[27, 28, 29, 30, 31].map((protocol): [string, Partial<ContextPlan>] => [`at protocol ${protocol}`, { protocol }]),
  ['with links, owners and hard links', { incRecurse: true, options: { links: true, owner: true, hardLinks: true } }],
];

describe('a shared scan', () => {
  it.each(PLANS)('gives all clients %s the bytes that they would get alone', async (_, plan) => {
    const clients = new Clients(makeTree(TREE));
    const alone = dataOf(await clients.list(plan, false));
    const shared = [await clients.list(plan), await clients.list(plan), await clients.list(plan)];
    expect(shared.map((sent) => dataOf(sent).equals(alone))).toEqual([true, true, true]);
    expect(clients.counts).toEqual({ hits: 2, misses: 1, bypassed: 0 });
  });

  it('lets a client find and count entries as if it were alone', async () => {
    const clients = new Clients(makeTree(TREE));
    const [first, second] = [await clients.begin(), await clients.begin()];
    await first.sendAll();
    await second.sendAll();
    const found = [first, second].map(({ lists }) => lists.find(1));
    expect(found.map(({ list, position }) => list.name(position!).toString())).toEqual(['link', 'link']);
    expect(found.map(({ list }) => [list.countSend(1), list.countSend(1), list.countReport(1)])).toEqual([
      [0, 1, 0],
      [0, 1, 0],
    ]);
    first.close();
    second.close();
  });

  it('is one scan for clients that come while it runs', async () => {
    const clients = new Clients(makeTree(WIDE));
    const sessions = [await clients.begin(), await clients.begin(), await clients.begin()];
    const sent = await Promise.all(sessions.map((session) => session.sendAll()));
    expect(sent.map((bytes) => bytes.equals(sent[0]!))).toEqual([true, true, true]);
    expect(dataOf(sent[0]!).equals(dataOf(await clients.list({}, false)))).toBe(true);
    expect(clients.counts).toEqual({ hits: 2, misses: 1, bypassed: 0 });
    for (const session of sessions) session.close();
  });

  it('goes on for the others when the client that began it goes away', async () => {
    const clients = new Clients(makeTree(WIDE));
    const [leader, follower] = [await clients.begin(), await clients.begin()];
    const led = leader.sendAll();
    const followed = follower.sendAll();
    leader.transport.destroy();
    const ending = led.finally(() => leader.close());
    await expect(ending).rejects.toThrow(PeerGone);
    expect(dataOf(await followed).equals(dataOf(await clients.list({}, false)))).toBe(true);
    follower.close();
  });

  it('ends when all clients have gone, and the next one has another', async () => {
    const clients = new Clients(makeTree(WIDE));
    const only = await clients.begin();
    const sent = only.sendAll();
    only.transport.destroy();
    await expect(sent).rejects.toThrow(PeerGone);
    only.close();
    expect(dataOf(await clients.list()).equals(dataOf(await clients.list({}, false)))).toBe(true);
  });

  it('is taken over between two lists', async () => {
    const clients = new Clients(makeTree(TREE));
    const plan = { incRecurse: true };
    const first = await clients.begin(plan);
    await first.lists.sendFirst(DOT, false);
    first.close();
    expect(dataOf(await clients.list(plan)).equals(dataOf(await clients.list(plan, false)))).toBe(true);
    expect(clients.counts).toEqual({ hits: 1, misses: 1, bypassed: 0 });
  });

  it('repeats its messages for each client', async () => {
    const root = makeTree({ ...TREE, dangling: '-> nowhere' });
    const clients = new Clients(root);
    const plan = { options: { copyLinks: true } };
    const sent = [await clients.list(plan), await clients.list(plan)];
    expect(sent.map(messagesOf)).toEqual(Array(2).fill(['1:symlink has no referent: "/dangling" (in m)\n']));
  });

  it('of directories is for clients with filters as well', async () => {
    const root = makeTree(TREE);
    const clients = new Clients(root);
    await clients.list({ excluded: ['a/b'] });
    for (const name of ['new', 'a/new']) writeFileSync(join(root, name), 'new');
    const others = [await clients.list({ excluded: ['top'] }), await clients.list({ protocol: 29, excluded: ['e'] })];
    const alone = await clients.list({ excluded: ['top'] }, false);
    expect([...others, alone].map((sent) => sent.includes('new'))).toEqual([false, false, true]);
    expect(clients.counts).toEqual({ hits: 0, misses: 0, bypassed: 3 });
  });

  it('gives clients with filters the bytes that they would get alone', async () => {
    const clients = new Clients(makeTree({ ...TREE, dangling: '-> nowhere' }));
    await clients.list({ incRecurse: true });
    const plans: Partial<ContextPlan>[] = [
      ...PLANS.map(([, plan]) => ({ ...plan, excluded: ['top', 'a/b'] })),
      { options: { checksum: true }, listSum: 'md5' },
      { options: { copyLinks: true }, excluded: ['e'] },
      { options: { links: true }, hidden: ['a/f1'], excluded: ['a-'] },
      { module: { ignoreNonreadable: true }, excluded: ['none'] },
    ];
    for (const plan of plans) {
      const [alone, shared] = [await clients.list(plan, false), await clients.list(plan)];
      expect([dataOf(shared).equals(dataOf(alone)), messagesOf(shared)]).toEqual([true, messagesOf(alone)]);
    }
  });

  it('is that of all workers, once it is complete', async () => {
    const root = makeTree(TREE);
    const [ours, theirs] = twoWorkers(root);
    for (const [, plan] of PLANS) {
      const alone = dataOf(await ours.list(plan, false));
      const sent = [await ours.list(plan), await theirs.list(plan), await theirs.list(plan)];
      expect(sent.map((one) => dataOf(one).equals(alone))).toEqual([true, true, true]);
    }
    expect([ours.counts, theirs.counts]).toEqual([
      { hits: 0, misses: PLANS.length, bypassed: 0 },
      { hits: 2 * PLANS.length, misses: 0, bypassed: 0 },
    ]);
  });

  it('lets a client of another worker find entries as if it had listed them', async () => {
    const [ours, theirs] = twoWorkers(makeTree(TREE));
    const plan = { incRecurse: true };
    await ours.list(plan);
    const [played, alone] = [await theirs.begin(plan), await theirs.begin(plan, false)];
    await played.sendAll();
    await alone.sendAll();
    const look = ({ lists }: typeof played, ndx: number) => {
      const { list, position } = lists.find(ndx);
      if (position === null) return null;
      const { directory, wireName, modulePath } = list.source(position);
      const texts = [list.name(position), list.wireName(position), directory.toBuffer(), wireName, modulePath];
      return [...texts.map(String), list.sizeBytes(position), list.isRegular(position), list.countSend(position)];
    };
    const last = 17;
    const indexes = Array.from({ length: last }, (_, i) => i + 1).filter((ndx) => {
      try {
        alone.lists.find(ndx);
        return true;
      } catch {
        return false;
      }
    });
    expect(indexes.length).toBeGreaterThan(8);
    expect(indexes.map((ndx) => look(played, ndx))).toEqual(indexes.map((ndx) => look(alone, ndx)));
    expect([played.lists.totals.entries, played.lists.totals.totalSizeBytes]).toEqual([
      alone.lists.totals.entries,
      alone.lists.totals.totalSizeBytes,
    ]);
    played.close();
    alone.close();
  });

  it('ends for all workers when a generation is published', async () => {
    const root = makeTree({ ...TREE, generation: '1' });
    const [ours, theirs] = twoWorkers(root, { ...KEPT, generationFile: Buffer.from('generation') });
    await ours.list();
    writeFileSync(join(root, 'generation'), '2');
    writeFileSync(join(root, 'new'), 'new');
    expect((await theirs.list()).includes('new')).toBe(true);
    expect((await ours.list()).includes('new')).toBe(true);
    expect([ours.counts.misses, theirs.counts.misses, ours.counts.hits]).toEqual([1, 1, 1]);
  });

  it('has lists of their own for clients with filters, checksums or attributes', async () => {
    const clients = new Clients(makeTree(TREE));
    await clients.list({ excluded: ['top'] });
    await clients.list({ options: { checksum: true }, listSum: 'md5' });
    await clients.list({ options: { filesFrom: { kind: 'wire' } } });
    expect(clients.counts).toEqual({ hits: 0, misses: 0, bypassed: 3 });
  });

  it('is kept apart by whatever changes the list', async () => {
    const clients = new Clients(makeTree(TREE));
    for (const options of [{}, { links: true }, { owner: true }, { hardLinks: true }]) await clients.list({ options });
    await clients.list({ protocol: 30 });
    await clients.list({ incRecurse: true });
    expect(clients.counts).toEqual({ hits: 0, misses: 6, bypassed: 0 });
  });
});

describe('a kept scan', () => {
  it('shows what was there when it was done, until it is too old', async () => {
    const root = makeTree(TREE);
    const clients = new Clients(root);
    const before = await clients.list();
    writeFileSync(join(root, 'new'), 'new');
    expect((await clients.list()).equals(before)).toBe(true);
    const impatient = new Clients(root, MIB, { ...KEPT, maxAgeMs: Number.MIN_VALUE });
    const [first, second] = [await impatient.list(), await impatient.list()];
    expect([first.length > before.length, second.equals(first), impatient.counts.misses]).toEqual([true, true, 2]);
  });

  it('is left when the generation file changes', async () => {
    const root = makeTree({ ...TREE, generation: '1' });
    const clients = new Clients(root, MIB, { ...KEPT, generationFile: Buffer.from('generation') });
    await clients.list();
    await clients.list();
    writeFileSync(join(root, 'generation'), '2');
    utimesSync(join(root, 'generation'), TREE_MTIME, TREE_MTIME);
    await clients.list();
    rmSync(join(root, 'generation'));
    await clients.list();
    await clients.list();
    expect(clients.counts).toEqual({ hits: 2, misses: 3, bypassed: 0 });
  });

  it('is left when another directory is published', async () => {
    const root = makeTree(TREE);
    const clients = new Clients(root);
    await clients.list();
    renameSync(root, `${root}.old`);
    renameSync(makeTree({ other: '' }), root);
    expect(dataOf(await clients.list()).includes('other')).toBe(true);
    rmSync(`${root}.old`, { recursive: true });
  });

  it('is dropped when the cache is closed, under the feet of nobody', async () => {
    const clients = new Clients(makeTree(TREE));
    const plan = { incRecurse: true };
    const session = await clients.begin(plan);
    await session.lists.sendFirst(DOT, false);
    clients.cache.close();
    expect(clients.cache.bytes).toBeLessThanOrEqual(PAGE_BYTES);
    const alone = await clients.list(plan, false);
    while (!session.lists.isComplete) await session.lists.sendSubList();
    session.context.writer.flush();
    expect(dataOf(session.transport.sent).equals(dataOf(alone))).toBe(true);
    session.close();
  });
});

describe('the bound of kept scans', () => {
  it('is not passed by a tree that does not fit, whose clients get it all the same', async () => {
    const clients = new Clients(makeTree(WIDE), 100_000);
    const alone = dataOf(await clients.list({}, false));
    const sessions = [await clients.begin(), await clients.begin()];
    const sent = await Promise.all(sessions.map((session) => session.sendAll()));
    expect(sent.map((bytes) => dataOf(bytes).equals(alone))).toEqual([true, true]);
    for (const session of sessions) session.close();
    // When it was begun, and the root with one entry.
    expect(clients.cache.bytes).toBeLessThanOrEqual(2 * PAGE_BYTES);
    await clients.list();
    expect(clients.counts).toEqual({ hits: 1, misses: 1, bypassed: 1 });
  });

  it('holds against clients that ask for the same tree in many ways', async () => {
    const clients = new Clients(makeTree(TREE), 200_000);
    const flags = ['links', 'owner', 'group', 'devices', 'specials', 'hardLinks', 'numericIds'] as const;
    for (let ways = 0; ways < 2 ** flags.length; ways++) {
      const options = Object.fromEntries(flags.map((flag, bit) => [flag, ((ways >> bit) & 1) === 1]));
      await clients.list({ options });
      expect(clients.cache.bytes).toBeLessThanOrEqual(200_000);
    }
    await clients.list({ options: Object.fromEntries(flags.map((flag) => [flag, true])) });
    expect(clients.counts).toEqual({ hits: 1, misses: 128, bypassed: 0 });
  });

  it('makes a scan that is no longer kept wait for its client', async () => {
    const clients = new Clients(makeTree(WIDE), 30_000);
    const slow = await clients.begin({ limits: { outputBytes: 1024 } });
    slow.transport.holdsWrites = true;
    const sent = slow.sendAll();
    await new Promise((resolve) => setTimeout(resolve, 50));
    slow.transport.holdsWrites = false;
    slow.transport.take(1000);
    expect(dataOf(await sent).equals(dataOf(await clients.list({}, false)))).toBe(true);
    slow.close();
  });
});
