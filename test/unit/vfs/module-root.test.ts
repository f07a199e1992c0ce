import { execFileSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Bug, FileError, VanishedError } from '../../../src/errors.ts';
import type { DirectoryPath } from '../../../src/vfs/path.ts';
import { bytes, makeView, openDescriptors, SECRET, type ViewFixture } from './view-fixture.ts';

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

/** The directory of a path whose components are no links. */
function directory(path: string): DirectoryPath {
  let at = fixture.view.root;
  for (const name of path.split('/')) at = at.child(bytes(name));
  return at;
}

function read(at: DirectoryPath, name: string): string {
  const file = fixture.view.openFile(at, bytes(name));
  try {
    const into = Buffer.alloc(file.sizeBytes);
    return into.toString('utf8', 0, file.readSync(into, 0));
  } finally {
    file.close();
  }
}

function errnoOf(call: () => unknown): number {
  try {
    call();
  } catch (thrown) {
    if (thrown instanceof FileError) return thrown.errno;
    throw thrown;
  }
  throw new Error('nothing was thrown');
}

const ENOENT = 2;
const ENXIO = 6;
const EINVAL = 22;
const ENOTDIR = 20;
const ELOOP = 40;
const ENAMETOOLONG = 36;

describe('reading', () => {
  it('lists names as bytes, without dot and dot-dot', async () => {
    mkdir('d/sub');
    writeFileSync(Buffer.concat([bytes(join(fixture.root, 'd/')), Buffer.from([0xff, 0xfe])]), '');
    link('nowhere', 'd/l');
    const names = await fixture.view.readdir(directory('d'));
    expect(names.map((name) => name.toString('latin1')).sort()).toEqual(['l', 'sub', '\u00ff\u00fe']);
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
    expect(fixture.view.readSmallFile(d, bytes('file'), 1000)).toBeNull();
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
    expect(fixture.view.readSmallFile(fixture.view.root, bytes('f'), 1000)).toBeNull();
  });

  it('a link is never followed at the leaf, not even inside the module', () => {
    write('f', 'inside');
    link('f', 'l');
    expect(errnoOf(() => fixture.view.openFile(fixture.view.root, bytes('l')))).toBe(ELOOP);
    expect(errnoOf(() => fixture.view.openFile(fixture.view.root, bytes('l'), true))).toBe(ELOOP);
  });

  it('thousands of swaps show nothing from outside', () => {
    mkdir('real');
    write('real/file', 'inside');
    const view = fixture.newView();
    // Renamed over by another process, so that swaps fall between any two system calls of ours.
    const script = `cd '${fixture.root}' && ln -s '${fixture.outside}' bad && i=0; while [ $i -lt 300 ]; do
      mv -T real d 2>/dev/null; mv -T d real 2>/dev/null; mv -T bad d 2>/dev/null; mv -T d bad 2>/dev/null; i=$((i+1)); done`;
    const racer = import('node:child_process').then(({ spawn }) => spawn('sh', ['-c', script]));
    return racer.then(async (child) => {
      const ended = new Promise((resolve) => child.on('exit', resolve));
      let running = true;
      void ended.then(() => {
        running = false;
      });
      const seen = new Set<string>();
      while (running) {
        for (let i = 0; i < 50; i++) {
          const found = view.readSmallFile(view.root.child(bytes('d')), bytes('file'), 1000);
          if (found !== null) seen.add(String(found));
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
      view.close();
      expect([...seen].filter((text) => text !== 'inside')).toEqual([]);
    });
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

describe('readSmallFile', () => {
  it('gives the content up to its bound, null beyond', () => {
    write('f', '12345');
    expect(String(fixture.view.readSmallFile(fixture.view.root, bytes('f'), 5))).toBe('12345');
    expect(fixture.view.readSmallFile(fixture.view.root, bytes('f'), 4)).toBeNull();
    expect(fixture.view.readSmallFile(fixture.view.root, bytes('missing'), 4)).toBeNull();
  });

  it('gives an empty file as no bytes', () => {
    write('f');
    truncateSync(join(fixture.root, 'f'));
    expect(fixture.view.readSmallFile(fixture.view.root, bytes('f'), 0)?.length).toBe(0);
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
      expect(String(view.readSmallFile(y, bytes('f'), 10))).toBe(String(i));
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
