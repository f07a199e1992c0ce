import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, readdirSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Bug, FileError, VanishedError } from '../../../src/errors.ts';
import type { DirectoryPath } from '../../../src/vfs/path.ts';
import { bytes, directoryAt, errnoOf, makeView, openDescriptors, readAt, type ViewFixture } from './view-fixture.ts';

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
const read = (at: DirectoryPath, name: string) => readAt(fixture.view, at, name);

const ENOENT = 2;
const ENXIO = 6;
const EINVAL = 22;
const ENAMETOOLONG = 36;

describe('reading', () => {
  it('lists names as bytes, without dot and dot-dot', async () => {
    mkdir('d/sub');
    writeFileSync(Buffer.concat([bytes(join(fixture.root, 'd/')), Buffer.from([0xff, 0xfe])]), '');
    link('nowhere', 'd/l');
    const names = await fixture.view.readdir(directory('d'));
    expect(names.sort()).toEqual(['l', 'sub', '\u00ff\u00fe']);
  });

  it('lists a directory too big for one tick as well', async () => {
    mkdir('big');
    const count = 3000;
    // Long names make a big directory of few files on file systems that report its size.
    for (let i = 0; i < count; i++) write(`big/${String(i).padStart(200, '0')}`, '');
    expect((await fixture.view.readdir(directory('big'))).length).toBe(count);
  });

  it('gives attributes with nanoseconds and of links themselves', () => {
    write('f', 'four');
    link('f', 'l');
    const stats = fixture.view.lstat(fixture.view.root, bytes('f'));
    expect([stats.size, stats.mtimeNs, stats.isFile()]).toEqual([
      4n,
      statSync(join(fixture.root, 'f'), { bigint: true }).mtimeNs,
      true,
    ]);
    expect(fixture.view.lstat(fixture.view.root, bytes('l')).isSymbolicLink()).toBe(true);
    expect(String(fixture.view.readlink(fixture.view.root, bytes('l')))).toBe('f');
  });

  it('gives attributes of a directory itself', () => {
    mkdir('d');
    const { ino } = statSync(join(fixture.root, 'd'), { bigint: true });
    expect(fixture.view.statDirectory(directory('d')).ino).toBe(ino);
    expect(fixture.view.statDirectory(fixture.view.root).ino).toBe(statSync(fixture.root, { bigint: true }).ino);
  });

  it('opens files at any depth, with and without O_NOATIME', () => {
    mkdir('a/b/c');
    write('a/b/c/f', 'deep');
    expect(read(directory('a/b/c'), 'f')).toBe('deep');
    const file = fixture.view.openFile(directory('a/b/c'), bytes('f'), true);
    expect(file.sizeBytes).toBe(4);
    file.close();
  });

  it('takes names of 255 bytes and refuses longer ones', () => {
    write('n'.repeat(255), 'long');
    expect(read(fixture.view.root, 'n'.repeat(255))).toBe('long');
    for (const length of [256, 257, 4096]) {
      expect(errnoOf(() => fixture.view.lstat(fixture.view.root, bytes('n'.repeat(length))))).toBe(ENAMETOOLONG);
    }
  });

  it('says that a missing file has vanished', () => {
    expect(() => fixture.view.lstat(fixture.view.root, bytes('gone'))).toThrow(VanishedError);
    expect(() => fixture.view.openFile(directory('gone'), bytes('f'))).toThrow(VanishedError);
  });

  it('is over after close', () => {
    const view = fixture.newView();
    view.close();
    expect(() => view.lstat(view.root, bytes('f'))).toThrow(Bug);
  });
});

describe('names that try to leave the module', () => {
  it.each(['..', '../outside/file', 'd/../../outside/file', 'd/f', '/etc/passwd'])('are refused: %s', (name) => {
    mkdir('d');
    write('d/f');
    const { view } = fixture;
    for (const call of [
      () => view.lstat(view.root, bytes(name)),
      () => view.readlink(view.root, bytes(name)),
      () => view.openFile(view.root, bytes(name)),
      () => view.statDirectory(view.root.child(bytes(name))),
    ]) {
      expect(call).toThrow(FileError);
    }
    expect(view.isReadable(view.root, bytes(name))).toBe(false);
  });

  it('with a NUL byte are refused', () => {
    write('f');
    expect(() => fixture.view.lstat(fixture.view.root, bytes('f\0x'))).toThrow(VanishedError);
  });
});

describe('things that are no regular files', () => {
  it('a fifo at the leaf does not block', () => {
    execFileSync('mkfifo', [join(fixture.root, 'fifo')]);
    expect(errnoOf(() => fixture.view.openFile(fixture.view.root, bytes('fifo')))).toBe(EINVAL);
  });

  it('directories are refused', () => {
    mkdir('d');
    expect(errnoOf(() => fixture.view.openFile(fixture.view.root, bytes('d')))).toBe(EINVAL);
    expect(errnoOf(() => fixture.view.openFile(fixture.view.root, bytes('.')))).toBe(EINVAL);
  });

  it('a socket is refused', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(fixture.root, 'sock'), resolve));
    expect(errnoOf(() => fixture.view.openFile(fixture.view.root, bytes('sock')))).toBe(ENXIO);
    server.close();
  });

  it('leave no descriptor behind', () => {
    execFileSync('mkfifo', [join(fixture.root, 'fifo')]);
    expect(errnoOf(() => fixture.view.openFile(fixture.view.root, bytes('fifo')))).toBe(EINVAL);
    const before = openDescriptors();
    for (let i = 0; i < 20; i++) errnoOf(() => fixture.view.openFile(fixture.view.root, bytes('fifo')));
    expect(openDescriptors()).toBe(before);
  });
});

describe('readMergeFile', () => {
  it('gives the content up to mergeFileBytes, ends beyond', () => {
    write('f', '12345');
    const read = (max: number) => {
      const view = fixture.newView({ mergeFileBytes: max });
      return view.readMergeFile(view.root, bytes('f'));
    };
    expect([String(read(6)), String(read(5))]).toEqual(['12345', '12345']);
    expect(() => read(4)).toThrow(expect.objectContaining({ limit: 'mergeFileBytes' }));
    expect(fixture.view.readMergeFile(fixture.view.root, bytes('missing'))).toBeNull();
  });

  it('gives an empty file as no bytes', () => {
    write('f');
    truncateSync(join(fixture.root, 'f'));
    expect(fixture.view.readMergeFile(fixture.view.root, bytes('f'))?.length).toBe(0);
  });
});

describe('held descriptors', () => {
  it('are few while many directories are visited, and none after close', async () => {
    for (let i = 0; i < 40; i++) {
      mkdir(`w/${i}/x/y`);
      write(`w/${i}/x/y/f`, String(i));
    }
    const before = openDescriptors();
    const view = fixture.newView();
    for (let i = 0; i < 40; i++) {
      const y = view.root
        .child(bytes('w'))
        .child(bytes(String(i)))
        .child(bytes('x'))
        .child(bytes('y'));
      await view.readdir(y);
      expect(String(view.readMergeFile(y, bytes('f')))).toBe(String(i));
      expect(openDescriptors()).toBeLessThanOrEqual(before + 4);
    }
    view.close();
    expect(openDescriptors()).toBe(before);
  });

  it('come to nothing for directories that cannot be opened', () => {
    write('file');
    const before = openDescriptors();
    const view = fixture.newView();
    for (let i = 0; i < 20; i++) {
      errnoOf(() => view.lstat(view.root.child(bytes('file')), bytes('x')));
      errnoOf(() => view.lstat(view.root.child(bytes('gone')), bytes('x')));
    }
    view.close();
    expect(openDescriptors()).toBe(before);
  });

  it('survive alternating between more directories than are held', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    for (const name of names) {
      mkdir(name);
      write(`${name}/f`, name);
    }
    const dirs = names.map((name) => directory(name));
    for (let round = 0; round < 3; round++) {
      for (const [i, dir] of dirs.entries()) expect(read(dir, 'f')).toBe(names[i]);
    }
  });
});

describe('depth', () => {
  it('is bounded: a directory at the limit is read, one below is not', async () => {
    mkdir('1/2/3/4');
    write('1/2/3/f', 'ok');
    const view = fixture.newView({ depth: 3 });
    const third = view.root.child(bytes('1')).child(bytes('2')).child(bytes('3'));
    expect((await view.readdir(third)).length).toBe(2);
    await expect(view.readdir(third.child(bytes('4')))).rejects.toMatchObject({ errno: ENAMETOOLONG });
    expect(errnoOf(() => view.resolve(view.root, bytes('1/2/3/4/x'), true))).toBe(ENAMETOOLONG);
    view.close();
  });

  it('of 256 levels is within the default', () => {
    const deep = Array.from({ length: 256 }, () => 'd').join('/');
    mkdir(deep);
    const view = fixture.newView();
    expect(view.statDirectory(view.resolve(view.root, bytes(deep), true).directory).isDirectory()).toBe(true);
    expect(errnoOf(() => view.resolve(view.root, bytes(`${deep}/x`), true))).toBe(ENOENT);
    view.close();
  });
});

describe('two names for one file', () => {
  it('show the same inode', () => {
    write('f');
    linkSync(join(fixture.root, 'f'), join(fixture.root, 'g'));
    const inode = (name: string) => fixture.view.lstat(fixture.view.root, bytes(name)).ino;
    expect(inode('f')).toBe(inode('g'));
    expect(readdirSync(fixture.root).length).toBe(2);
  });
});
