import { linkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Bug, ProtocolError } from '../../../src/errors.ts';
import { ModuleView } from '../../../src/vfs/module-root.ts';
import { DirectoryPath } from '../../../src/vfs/path.ts';
import { hex, splitFrames } from '../support/bytes.ts';
import {
  cleanUp,
  decode,
  type Listed,
  list,
  makeTree,
  type SentList,
  sendAll,
  shown,
  TREE_MTIME,
} from './list-fixture.ts';

afterEach(cleanUp);

const TREE = { 'a/f1': '1', 'a/b/f2': '22', 'a/b/c/f3': '333', top: 'top', 'e/': '', 'a-/x': 'x' };
const INC = { incRecurse: true };

/** Name of what an index stands for: an entry, or `(start)` for a list's own directory. */
function nameAt({ lists }: Listed, ndx: number): string {
  const found = lists.find(ndx);
  return found.position === null ? `(${found.list.start})` : String(found.list.wireName(found.position));
}

const indexesOf = ({ start, entries }: SentList) => entries.map((_, i) => start + i);

describe('a single list', () => {
  it.each([27, 28, 29, 30, 31, 32])('at protocol %i is read back by an independent decoder', async (protocol) => {
    const listed = await list(makeTree({ ...TREE, l: '-> a/f1' }), ['.'], { protocol, options: { links: true } });
    const { lists, ioErrorWord } = decode(listed);
    const entries = new Map(lists[0]!.entries.map((entry) => [entry.name, entry]));
    expect([...entries.keys()].sort()).toEqual([
      '.',
      'a',
      'a-',
      'a-/x',
      'a/b',
      'a/b/c',
      'a/b/c/f3',
      'a/b/f2',
      'a/f1',
      'e',
      'l',
      'top',
    ]);
    expect(entries.get('a/b/c/f3')).toMatchObject({ size: 3, mtime: TREE_MTIME, nsec: 0 });
    expect(entries.get('l')).toMatchObject({ size: 4, linkTarget: 'a/f1' });
    expect([ioErrorWord, listed.messages]).toEqual([protocol < 30 ? 0 : null, []]);
  });

  it('is numbered from 0 in sorted order', async () => {
    const listed = await list(makeTree(TREE), ['.']);
    const names = ['.', 'top', 'a-', 'a-/x', 'a', 'a/f1', 'a/b', 'a/b/f2', 'a/b/c', 'a/b/c/f3', 'e'];
    expect(names.map((_, ndx) => nameAt(listed, ndx))).toEqual(names);
    expect(listed.lists.isComplete).toBe(true);
    for (const ndx of [-1, -2, names.length, 2 ** 31 - 1]) expect(() => listed.lists.find(ndx)).toThrow(ProtocolError);
  });

  it('below protocol 30 sends a directory’s contents behind it, each sub-tree in one piece', async () => {
    const [only] = decode(await list(makeTree(TREE), ['.'], { protocol: 29 })).lists;
    const names = only!.entries.map(({ name }) => name);
    expect(names[0]).toBe('.');
    const subtree = names.map((name, i) => (name.startsWith('a/') ? i : -1)).filter((i) => i >= 0);
    expect(subtree.at(-1)! - subtree[0]!).toBe(subtree.length - 1);
  });

  it('has totals of its files and links', async () => {
    const { lists } = await list(makeTree({ f: '12345', l: '-> f', 'd/g': '1' }), ['.']);
    expect(lists.totals).toMatchObject({ entries: 5, totalSizeBytes: 7 });
    expect(lists.totals.buildMs).toBeGreaterThanOrEqual(1);
  });

  it('carries names of ids behind it, each list by its own option', async () => {
    const idNames = { users: new Map([[0, Buffer.from('root')]]), groups: new Map([[0, Buffer.from('wheel')]]) };
    const root = makeTree({ f: '' });
    const namesWith = async (options: object) => {
      const { users, groups } = decode(await list(root, ['f'], { options, module: { idNames } }));
      return [users, groups];
    };
    expect(await namesWith({ owner: true, group: true })).toEqual([[[0, 'root']], [[0, 'wheel']]]);
    expect(await namesWith({ group: true })).toEqual([[], [[0, 'wheel']]]);
    expect(await namesWith({ owner: true, group: true, numericIds: true })).toEqual([[], []]);
  });
});

describe('lists with incremental recursion', () => {
  it('begin with one level, and number directories as they are listed', async () => {
    const listed = await list(makeTree(TREE), ['.'], INC);
    expect(decode(listed).lists.length).toBe(1);
    await sendAll(listed);
    const { lists, isComplete } = decode(listed);
    expect(isComplete).toBe(true);
    // Directory numbers: 0 `.`, 1 a-/, 2 a/, 3 e/, then those of the sub-lists; depth first.
    expect(lists.map(({ directory, start, entries }) => [directory, start, entries.map(shown).sort()])).toEqual([
      [null, 1, ['./T', 'a-/', 'a/', 'e/', 'top']],
      [1, 7, ['a-/x']],
      [2, 9, ['a/b/', 'a/f1']],
      [4, 12, ['a/b/c/', 'a/b/f2']],
      [5, 15, ['a/b/c/f3']],
      [3, 17, []],
    ]);
  });

  it('find every index that they gave out, and the directory below each start', async () => {
    const listed = await list(makeTree(TREE), ['.'], INC);
    await sendAll(listed);
    for (const sent of decode(listed).lists) {
      const names = indexesOf(sent).map((ndx) => nameAt(listed, ndx));
      expect(names.toSorted()).toEqual(sent.entries.map(({ name }) => name).sort());
      expect(nameAt(listed, sent.start - 1)).toBe(`(${sent.start})`);
    }
    expect(() => listed.lists.find(17)).toThrow(ProtocolError);
    expect(() => listed.lists.find(-1)).toThrow(ProtocolError);
  });

  it('do not know index 0 when the first list has no directory of its own', async () => {
    const { lists } = await list(makeTree(TREE), ['a'], INC);
    expect(() => lists.find(0)).toThrow(ProtocolError);
    expect(lists.find(2).position).toBeNull();
  });

  it('send a second list at once behind a first of one entry', async () => {
    const { lists } = decode(await list(makeTree(TREE), ['a'], INC));
    expect(lists.map(({ directory, entries }) => [directory, entries.map(shown).sort()])).toEqual([
      [null, ['a/T']],
      [0, ['a/b/', 'a/f1']],
    ]);
  });

  it('end at once without directories, and when nothing was found', async () => {
    const flat = decode(await list(makeTree({ f: '' }), ['.'], INC));
    expect([flat.isComplete, flat.lists.length]).toEqual([true, 1]);
    const empty = await list(makeTree({}), ['missing'], INC);
    expect([decode(empty).lists[0]!.entries, decode(empty).isComplete, empty.lists.totals.entries]).toEqual([
      [],
      true,
      0,
    ]);
  });

  it('forget the oldest list first, and refuse its indexes from then on', async () => {
    const listed = await list(makeTree(TREE), ['.'], INC);
    await sendAll(listed);
    const starts = decode(listed).lists.map(({ start }) => start);
    for (const [i, start] of starts.entries()) {
      expect(listed.lists.oldest?.start).toBe(start);
      expect(nameAt(listed, start - 1)).toBe(`(${start})`);
      listed.lists.releaseOldest();
      expect(() => listed.lists.find(start)).toThrow(ProtocolError);
      expect(() => listed.lists.find(start - 1)).toThrow(ProtocolError);
      expect(listed.lists.hasLive).toBe(i < starts.length - 1);
    }
    await expect(listed.lists.sendSubList()).rejects.toThrow(Bug);
  });

  it('count what is ahead of the client', async () => {
    const listed = await list(makeTree(TREE), ['.'], INC);
    const first = listed.lists.oldest!;
    expect(listed.lists.entriesAhead(first)).toBe(0);
    await sendAll(listed);
    expect(listed.lists.entriesAhead(first)).toBe(6);
  });

  it('merge directories of one name into the list of the first, numbering the others', async () => {
    const tree = { 'p/x': 'p', 'p/m': 'file', 'p/dd/1': '', 'q/x': 'q', 'q/m/z': '', 'q/dd/2': '' };
    const listed = await list(makeTree(tree), ['p/', 'q/'], INC);
    await sendAll(listed);
    const { lists } = decode(listed);
    expect(Array.from({ length: 8 }, (_, i) => nameAt(listed, i + 1))).toEqual([
      '.',
      '.',
      'm',
      'x',
      'x',
      'dd',
      'dd',
      'm',
    ]);
    expect(
      lists.slice(1).map(({ directory, start, entries }) => [directory, start, entries.map(shown).sort()]),
    ).toEqual([
      [2, 10, ['dd/1', 'dd/2']],
      [4, 13, ['m/z']],
    ]);
    const [first, second] = [4, 5].map((ndx) => listed.lists.find(ndx));
    expect([first!, second!].map(({ list: from, position }) => String(from.source(position!).modulePath))).toEqual([
      'p',
      'q',
    ]);
  });

  it('scan a directory named twice only once', async () => {
    const listed = await list(makeTree({ 'd/e/f': '' }), ['d/', 'd/'], INC);
    await sendAll(listed);
    expect(
      decode(listed)
        .lists.slice(1)
        .map(({ entries }) => entries.map(shown)),
    ).toEqual([['e/f']]);
  });

  it('hold more directories than fit into one call', async () => {
    const count = 200_000;
    class WideView extends ModuleView {
      override async readdir(directory: DirectoryPath): Promise<string[]> {
        return directory.depth > 0 ? [] : Array.from({ length: count }, (_, i) => `${i}`);
      }

      override lstat() {
        return this.statDirectory(this.root);
      }
    }
    const makeView = (...args: ConstructorParameters<typeof ModuleView>) => new WideView(...args);
    const { lists } = await list(makeTree({}), ['.'], { ...INC, makeView });
    expect([lists.totals.entries, lists.isComplete]).toEqual([count + 1, false]);
    const single = await list(makeTree({ 'sub/': '' }), ['.'], {
      makeView: (fd, limits) =>
        new (class extends WideView {
          override async readdir(directory: DirectoryPath): Promise<string[]> {
            if (directory.depth === 0) return ['sub'];
            return directory.depth === 1 ? super.readdir(DirectoryPath.root()) : [];
          }
        })(fd, limits),
    });
    expect(single.lists.totals.entries).toBe(count + 2);
  });
});

describe('hard links', () => {
  function makeLinked(): string {
    const root = makeTree({ 'd/x': 'linked', 'd/y': 'alone', 'e/': '' });
    linkSync(join(root, 'd/x'), join(root, 'd/z'));
    linkSync(join(root, 'd/x'), join(root, 'e/x'));
    return root;
  }
  const plan = { options: { hardLinks: true } };

  it('in one list refer to the first by place of transmission', async () => {
    const { entries } = decode(await list(makeLinked(), ['.'], plan)).lists[0]!;
    const linked = entries.filter(({ group }) => group !== null);
    const firstAt = entries.findIndex(({ group }) => group === -1);
    expect(linked.map(({ name }) => name).sort()).toEqual(['d/x', 'd/z', 'e/x']);
    expect(linked.map(({ group }) => group)).toEqual([-1, firstAt, firstAt]);
    expect(linked.map(({ size, mtime }) => [size, mtime])).toEqual([6, 6, 6].map((size) => [size, TREE_MTIME]));
  });

  it('in a later list refer to an earlier one with all fields', async () => {
    const listed = await list(makeLinked(), ['.'], { ...plan, ...INC });
    await sendAll(listed);
    const [, d, e] = decode(listed).lists;
    const first = d!.start + d!.entries.findIndex(({ group }) => group === -1);
    expect(e!.entries.map(({ name, group, size }) => [name, group, size])).toEqual([['e/x', first, 6]]);
    expect(e!.entries[0]!.to - e!.entries[0]!.from).toBeGreaterThan(8);
  });

  it('are not claimed by a second file of the same name', async () => {
    const root = makeTree({ 'p/f': 'p', 'q/f': 'q' });
    linkSync(join(root, 'q/f'), join(root, 'q/g'));
    const listed = await list(root, ['p/', 'q/'], { ...plan, ...INC });
    const { entries } = decode(listed).lists[0]!;
    const repeated = entries.filter(({ name }) => name === 'f');
    expect(repeated.map(({ group }) => group)).toEqual([null, null]);
    expect(entries.find(({ name }) => name === 'g')?.group).toBe(-1);
  });
});

describe('the I/O error word', () => {
  const gone = (protocol: number, changes: object = {}) =>
    list(makeTree({ f: '', l: '-> nowhere' }), ['.'], { protocol, options: { copyLinks: true }, ...changes });

  it.each([27, 28, 29])('stands behind the ids at protocol %i', async (protocol) => {
    expect(decode(await gone(protocol)).ioErrorWord).toBe(1);
  });

  it.each([30, 31, 32])('stands in the end marker at protocol %i', async (protocol) => {
    expect(decode(await gone(protocol)).lists[0]!.ioError).toBe(1);
  });

  it.each([true, false])('is a message at protocol 30 without safe lists (incremental: %s)', async (incRecurse) => {
    const listed = await gone(30, { compatFlags: incRecurse ? 1 : 0, incRecurse });
    expect(splitFrames(listed.fixture.sent()).filter(({ code }) => code === 22)).toEqual([
      { code: 22, payload: hex('01000000') },
    ]);
  });

  it('is left out on request', async () => {
    const options = { copyLinks: true, ignoreErrors: true };
    expect(decode(await gone(32, { options })).lists[0]!.ioError).toBe(0);
    expect(decode(await gone(29, { options })).ioErrorWord).toBe(0);
  });
});
