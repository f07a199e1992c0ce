import { describe, expect, it } from 'vitest';
import type { SourceDirectory } from '../../../src/flist/entry.ts';
import { FileList } from '../../../src/flist/file-list.ts';
import { TimeSlice } from '../../../src/slice.ts';
import { entry } from './entry-fixture.ts';

/** A list knows its sources by their wire name only. */
function source(wireName: string): SourceDirectory {
  return { wireName: Buffer.from(wireName) } as SourceDirectory;
}

const FILE = 0o100644;
const DIR = 0o40755;
const TOP = source('');

function push(list: FileList, name: string, mode = FILE, from = TOP, sizeBytes = 0): void {
  list.push(entry({ name, mode, sizeBytes }), from, Buffer.from(name), false);
}

describe('a finished list', () => {
  it('finds the place of transmission of a sorted index', async () => {
    const list = new FileList(17, 31);
    for (const name of ['c', 'a', 'b']) push(list, name);
    await list.finish(new TimeSlice());
    expect([17, 18, 19].map((ndx) => String(list.name(list.positionOf(ndx))))).toEqual(['a', 'b', 'c']);
  });

  it('gives its directories in sorted order, repeated ones included', async () => {
    const list = new FileList(1, 31);
    for (const name of ['z', 'f', 'a', 'z']) {
      push(list, name, name === 'f' ? FILE : DIR);
      if (name !== 'f') list.addDirectory({ wireName: Buffer.from(name), sources: [], tails: [], number: -1 });
    }
    expect((await list.finish(new TimeSlice())).map(({ wireName }) => String(wireName))).toEqual(['a', 'z', 'z']);
  });

  it('sorts by whole names when its entries come from several directories', async () => {
    const list = new FileList(0, 28);
    push(list, 'x', FILE, source('b'));
    push(list, 'y', FILE, source('a'));
    push(list, 'a0');
    await list.finish(new TimeSlice());
    expect([0, 1, 2].map((ndx) => String(list.wireName(list.positionOf(ndx))))).toEqual(['a/y', 'a0', 'b/x']);
    expect(String(list.source(list.positionOf(0)).wireName)).toBe('a');
  });
});

describe('records', () => {
  it('keep names, sizes and types of many entries apart', async () => {
    const list = new FileList(0, 31);
    const count = 1000;
    const nameOf = (i: number) => `${'n'.repeat(i % 300)}${i}`;
    for (let i = 0; i < count; i++) push(list, nameOf(i), i % 3 === 0 ? DIR : FILE, TOP, i * 2 ** 33 + i);
    await list.finish(new TimeSlice());
    for (let i = 0; i < count; i++) {
      expect(String(list.name(i))).toBe(nameOf(i));
      expect(list.sizeBytes(i)).toBe(i * 2 ** 33 + i);
      expect(list.isRegular(i)).toBe(i % 3 !== 0);
    }
  });

  it('keep names of the longest kind', async () => {
    const list = new FileList(0, 31);
    const names = ['a', 'b', 'c'].map((letter) => letter.repeat(4095));
    for (const name of names) push(list, name);
    await list.finish(new TimeSlice());
    expect(names.map((_, i) => String(list.name(i)))).toEqual(names);
  });

  it('remember which entries were reached through a link', async () => {
    const list = new FileList(0, 31);
    push(list, 'plain');
    list.push(entry({ name: 'l', mode: FILE }), TOP, Buffer.from('l'), true);
    await list.finish(new TimeSlice());
    expect([list.isFollowed(0), list.isFollowed(1), list.isRegular(1)]).toEqual([false, true, true]);
  });
});

describe('counters', () => {
  it('of sends and reports are separate, and leave the types alone', async () => {
    const list = new FileList(0, 31);
    push(list, 'f');
    push(list, 'd', DIR);
    await list.finish(new TimeSlice());
    expect([list.countSend(0), list.countSend(0), list.countReport(0), list.countReport(1)]).toEqual([0, 1, 0, 0]);
    expect([list.countSend(0), list.countReport(0), list.isRegular(0), list.isRegular(1)]).toEqual([2, 1, true, false]);
  });

  it('saturate instead of overflowing into what stands beside them', async () => {
    const list = new FileList(0, 31);
    push(list, 'd', DIR);
    await list.finish(new TimeSlice());
    for (let i = 0; i < 300; i++) {
      list.countSend(0);
      list.countReport(0);
    }
    expect([list.countSend(0), list.countReport(0), list.isRegular(0), list.isFollowed(0)]).toEqual([
      255,
      255,
      false,
      false,
    ]);
  });
});
