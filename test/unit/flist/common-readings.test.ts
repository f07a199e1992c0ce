import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CommonReadings, type ReadingMember } from '../../../src/flist/common-readings.ts';
import type { ListContext } from '../../../src/flist/context.ts';
import { parseSourceArgument } from '../../../src/flist/source-argument.ts';
import type { StoredEntries } from '../../../src/flist/stored-entries.ts';
import { makeSession, type SessionFixture } from '../support/session-context.ts';
import { cleanUp, makeTree } from './list-fixture.ts';

const MIB = 1024 * 1024;
/** What a table with one entry takes beside its name. */
const TABLE_BYTES = 84 + 8;
const sessions: SessionFixture[] = [];

afterEach(() => {
  vi.useRealTimers();
  for (const session of sessions.splice(0)) session.close();
  cleanUp();
});

async function contextOf(root: string): Promise<ListContext> {
  const session = await makeSession({ root });
  sessions.push(session);
  return session.context;
}

const argument = (path: string) => [parseSourceArgument(Buffer.from(path), false)];

/** A daemon's readings, and sessions that list `root` at the same time. */
async function stage(root: string) {
  const counts = { read: 0, shared: 0 };
  const readings = new CommonReadings(counts);
  const enter = async (changes: Partial<ListContext> = {}, path = '') => {
    const context = { ...(await contextOf(root)), ...changes };
    return { ...readings.join(context, argument(path)), context };
  };
  /** A session for which each directory has these names. */
  const enterWith = async (...names: string[]) => {
    const member = await enter();
    Object.assign(member.context.view, { readdir: async () => names });
    return member;
  };
  /** The same, with one name that takes so many bytes in all. */
  const enterLong = async (bytes: number) => {
    const member = await enterWith('x'.repeat(bytes - TABLE_BYTES));
    const { view } = member.context;
    return Object.assign(member, { view: Object.assign(view, { lstat: () => view.statDirectory(view.root) }) });
  };
  return { counts, readings, enter, enterWith, enterLong };
}

/** Makes each of them somebody who lists. */
async function beginAll(...members: readonly (ReadingMember & { readonly context: ListContext })[]): Promise<void> {
  for (const { read, context } of members) await read(context.view.root.child(Buffer.from('nothing')));
}

function namesOf(entries: StoredEntries | null): string[] | null {
  return entries && Array.from({ length: entries.count }, (_, i) => entries.name(i)).sort();
}

describe('a directory that several sessions list', () => {
  it('is read once for all of them', async () => {
    const root = makeTree({ a: 'content', link: '-> a', 'sub/b': '' });
    const { counts, enter } = await stage(root);
    const [one, two, three] = [await enter(), await enter(), await enter()];
    await beginAll(one, two, three);
    const { view } = one.context;
    const before = { ...counts };
    const first = await two.read(view.root);
    writeFileSync(join(root, 'later'), '');
    expect([await one.read(view.root), await three.read(view.root)].every((entries) => entries === first)).toBe(true);
    expect([counts.read - before.read, counts.shared - before.shared]).toEqual([1, 2]);
    expect(namesOf(first)).toEqual(['a', 'link', 'sub']);
    const link = [0, 1, 2].find((i) => first!.name(i) === 'link')!;
    expect([first!.linkTarget(link)!.toString(), first!.stats(link).ino]).toEqual([
      'a',
      view.lstat(view.root, 'link').ino,
    ]);
  });

  it("is nobody else's business as long as one is alone", async () => {
    const { counts, readings, enter } = await stage(makeTree({ a: '', 'sub/b': '' }));
    const one = await enter();
    const other = await enter({}, 'sub');
    const { view } = one.context;
    for (let i = 0; i < 3; i++) {
      expect([await one.read(view.root), await other.read(view.root)]).toEqual([null, null]);
    }
    expect([counts, readings.bytes]).toEqual([{ read: 0, shared: 0 }, 0]);
  });

  it('is read anew for who came after that had begun', async () => {
    const root = makeTree({ a: '' });
    const { enter } = await stage(root);
    const [one, two] = [await enter(), await enter()];
    await beginAll(one, two);
    const { view } = one.context;
    expect(namesOf(await one.read(view.root))).toEqual(['a']);
    writeFileSync(join(root, 'b'), '');
    const three = await enter();
    expect(namesOf(await three.read(view.root))).toEqual(['a', 'b']);
    // What is newer is as good for those who were there before.
    expect(namesOf(await two.read(view.root))).toEqual(['a', 'b']);
  });

  it('is read to its end by whoever has a turn', async () => {
    const names = Array.from({ length: 100 }, (_, i) => `file${i}`);
    const { enter } = await stage(makeTree(Object.fromEntries(names.map((name) => [name, '']))));
    let looks = 0;
    const stuck = { expired: false, yield: () => new Promise<void>(() => {}) };
    const slice = Object.defineProperty(stuck, 'expired', {
      get: () => ++looks > 2,
    }) as unknown as ListContext['slice'];
    const [one, two] = [await enter({ slice }), await enter()];
    await beginAll(two, one);
    looks = 0;
    void one.read(one.context.view.root);
    await vi.waitFor(() => expect(looks).toBe(3));
    expect(namesOf(await two.read(two.context.view.root))).toEqual([...names].sort());
  });

  it('is not read on for a client that is gone', async () => {
    const { enter } = await stage(makeTree({ a: '' }));
    const slice = { expired: true, yield: async () => {} } as unknown as ListContext['slice'];
    const { writer } = await contextOf(makeTree({}));
    const gone = Object.create(writer, { isBroken: { value: true } }) as ListContext['writer'];
    const [one, two] = [await enter({ slice, writer: gone }), await enter()];
    await beginAll(two, one);
    expect(await one.read(one.context.view.root)).toBeNull();
  });

  it("is nobody's that cannot be read, and is tried again", async () => {
    const root = makeTree({ 'sub/a': '' });
    const { enter } = await stage(root);
    const [one, two] = [await enter(), await enter()];
    await beginAll(one, two);
    const other = one.context.view.root.child(Buffer.from('other'));
    expect(await Promise.all([one.read(other), two.read(other)])).toEqual([null, null]);
    renameSync(join(root, 'sub'), join(root, 'other'));
    expect(namesOf(await one.read(other))).toEqual(['a']);
  });

  it('from which something vanishes while it is read is not shared with those who come later', async () => {
    const { enter, enterWith } = await stage(makeTree({ a: '', b: '' }));
    const [one, two] = [await enterWith('a', 'ghost', 'b'), await enter()];
    await beginAll(two);
    const entries = await one.read(one.context.view.root);
    expect([0, 1, 2].map((i) => entries!.isKnown(i))).toEqual([true, false, true]);
    expect(namesOf(await two.read(two.context.view.root))).toEqual(['a', 'b']);
  });

  it.each([
    [-1, true],
    [0, true],
    [1, false],
  ])('with %i bytes more than 16 MiB is shared: %s', async (more, isShared) => {
    const { enterLong } = await stage(makeTree({}));
    const [one, two] = [await enterLong(16 * MIB + more), await enterLong(16 * MIB + more)];
    await beginAll(two);
    expect((await one.read(one.context.view.root)) !== null).toBe(isShared);
    expect((await two.read(two.context.view.root)) !== null).toBe(isShared);
  });
});

describe('what is kept of directories', () => {
  it('stays below 32 MiB: the oldest goes first', async () => {
    const { counts, readings, enterLong } = await stage(makeTree({}));
    const [one, two] = [await enterLong(10 * MIB), await enterLong(10 * MIB)];
    const { root } = one.context.view;
    const directories = [1, 2, 3, 4].map((i) => root.child(Buffer.from(`${i}`)));
    await two.read(root);
    for (const directory of directories) await one.read(directory);
    expect([readings.bytes > 29 * MIB, readings.bytes <= 32 * MIB]).toEqual([true, true]);
    const before = { ...counts };
    await two.read(directories[1]!);
    await two.read(directories[0]!);
    expect([counts.shared - before.shared, counts.read - before.read]).toEqual([1, 1]);
  });

  it('goes with the last session that lists them', async () => {
    const { readings, enter } = await stage(makeTree({ a: '' }));
    const [one, two] = [await enter(), await enter()];
    await beginAll(one, two);
    await one.read(one.context.view.root);
    one.leave();
    expect(readings.bytes).toBeGreaterThan(0);
    two.leave();
    expect(readings.bytes).toBe(0);
  });

  it('goes after seconds, and is not shared any more before that', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'hrtime'] });
    const root = makeTree({ a: '' });
    const { readings, enter } = await stage(root);
    const [one, two] = [await enter(), await enter()];
    await beginAll(one, two);
    const { view } = one.context;
    await one.read(view.root);
    writeFileSync(join(root, 'b'), '');
    vi.advanceTimersByTime(4999);
    expect(namesOf(await two.read(view.root))).toEqual(['a']);
    await one.read(view.root.child(Buffer.from('nothing')));
    vi.advanceTimersByTime(2);
    expect(namesOf(await two.read(view.root))).toEqual(['a', 'b']);
    vi.advanceTimersByTime(20_000);
    expect(readings.bytes).toBe(0);
  });
});
