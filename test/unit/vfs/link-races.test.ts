/** What the file system may turn into between listing and reading (CVE-2024-12747 and later). */

import { spawn } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileError } from '../../../src/errors.ts';
import { bytes, directoryAt, errnoOf, makeView, readAt, SECRET, type ViewFixture } from './view-fixture.ts';

let fixture: ViewFixture;

beforeEach(() => {
  fixture = makeView();
});

afterEach(() => {
  fixture.remove();
});

const write = (path: string, text = path) => writeFileSync(join(fixture.root, path), text);
const mkdir = (path: string) => mkdirSync(join(fixture.root, path), { recursive: true });
const link = (target: string, path: string) => symlinkSync(target, join(fixture.root, path));
const directory = (path: string) => directoryAt(fixture.view, path);
const read = (at: ReturnType<typeof directory>, name: string) => readAt(fixture.view, at, name);

const ENOTDIR = 20;
const ELOOP = 40;

describe('races with links', () => {
  it('a directory swapped for a link after it was listed is not entered', async () => {
    mkdir('d');
    write('d/file', 'inside');
    const d = directory('d');
    fixture.view.lstat(fixture.view.root, bytes('d'));
    rmSync(join(fixture.root, 'd'), { recursive: true });
    link(fixture.outside, 'd');
    await expect(fixture.view.readdir(d)).rejects.toThrow(FileError);
    expect(errnoOf(() => fixture.view.lstat(d, bytes('file')))).toBe(ENOTDIR);
    expect(errnoOf(() => fixture.view.openFile(d, bytes('file')))).toBe(ENOTDIR);
    expect(errnoOf(() => fixture.view.statDirectory(d))).toBe(ENOTDIR);
    expect(fixture.view.isReadable(d, bytes('file'))).toBe(false);
    expect(fixture.view.readMergeFile(d, bytes('file'))).toBeNull();
  });

  it('a directory in the middle of the path swapped for a link is not entered', () => {
    mkdir('a/b/c');
    mkdirSync(join(fixture.outside, 'c'));
    writeFileSync(join(fixture.outside, 'c/file'), SECRET);
    renameSync(join(fixture.root, 'a/b'), join(fixture.root, 'a/old'));
    link(fixture.outside, 'a/b');
    expect(errnoOf(() => fixture.view.openFile(directory('a/b/c'), bytes('file')))).toBe(ENOTDIR);
  });

  it('a directory that is held stays the one that was listed', async () => {
    mkdir('d');
    write('d/file', 'inside');
    const d = directory('d');
    await fixture.view.readdir(d);
    renameSync(join(fixture.root, 'd'), join(fixture.root, 'old'));
    link(fixture.outside, 'd');
    expect(read(d, 'file')).toBe('inside');
    expect((await fixture.view.readdir(d)).map(String)).toEqual(['file']);
  });

  it('a file swapped for a link is not opened', () => {
    write('f', 'inside');
    fixture.view.lstat(fixture.view.root, bytes('f'));
    rmSync(join(fixture.root, 'f'));
    link(join(fixture.outside, 'file'), 'f');
    expect(errnoOf(() => fixture.view.openFile(fixture.view.root, bytes('f')))).toBe(ELOOP);
    expect(fixture.view.readMergeFile(fixture.view.root, bytes('f'))).toBeNull();
  });

  it('a link is never followed at the leaf, not even inside the module', () => {
    write('f', 'inside');
    link('f', 'l');
    expect(errnoOf(() => fixture.view.openFile(fixture.view.root, bytes('l')))).toBe(ELOOP);
    expect(errnoOf(() => fixture.view.openFile(fixture.view.root, bytes('l'), true))).toBe(ELOOP);
  });

  it('hundreds of swaps by another process show nothing from outside', async () => {
    mkdir('real');
    write('real/file', 'inside');
    // Renamed by another process, so that swaps fall between any two system calls of ours.
    const script = `cd '${fixture.root}' && ln -s '${fixture.outside}' bad && i=0; while [ $i -lt 300 ]; do
      mv -T real d; mv -T d real; mv -T bad d; mv -T d bad; i=$((i+1)); done`;
    const racer = spawn('sh', ['-c', script], { stdio: 'ignore' });
    const d = fixture.view.root.child(bytes('d'));
    const seen = new Set<string>();
    while (racer.exitCode === null) {
      for (let i = 0; i < 50; i++) {
        // A view of its own each time: a held directory would hide the race.
        const view = fixture.newView();
        seen.add(String(view.readMergeFile(d, bytes('file'))));
        view.close();
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([...seen].filter((text) => text !== 'inside' && text !== 'null')).toEqual([]);
  });
});
