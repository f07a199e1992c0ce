/** A view that names entries by plain paths: the same answers as one that holds descriptors. */

import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { ModuleView } from '../../../src/vfs/module-root.ts';
import type { DirectoryPath } from '../../../src/vfs/path.ts';
import { bytes, directoryAt, errnoOf, makeView, openDescriptors, readAt, type ViewFixture } from './view-fixture.ts';

const ENOENT = 2;
const ELOOP = 40;
const ENAMETOOLONG = 36;

let fixture: ViewFixture;
let view: ModuleView;

beforeEach(() => {
  fixture = makeView();
  // This machine's mounts follow links: what is tried here is how entries are named, not what the kernel refuses.
  view = new ModuleView({ fd: fixture.rootFd, linklessPath: fixture.root }, DEFAULT_LIMITS);
});

afterEach(() => {
  view.close();
  fixture.remove();
});

describe('a view of plain paths', () => {
  it('names files without a descriptor for their directory', () => {
    mkdirSync(join(fixture.root, 'a/b'), { recursive: true });
    writeFileSync(join(fixture.root, 'a/b/f'), 'content');
    const before = openDescriptors();
    const directory = directoryAt(view, 'a/b');
    expect(view.lstat(directory, 'f').size).toBe(7n);
    expect(view.lstat(view.root, 'a').isDirectory()).toBe(true);
    expect(readAt(view, directory, 'f')).toBe('content');
    expect(view.isReadable(directory, bytes('f'))).toBe(true);
    expect(openDescriptors()).toBe(before);
  });

  it('names what is no ASCII, in directories and in files', async () => {
    const [directory, name] = [bytes('\u00e4\u4e2d'), Buffer.from([0xff, 0x66])];
    mkdirSync(join(fixture.root, String(directory)));
    const path = Buffer.concat([bytes(`${fixture.root}/${directory}/`), name]);
    writeFileSync(path, 'odd');
    const child = view.root.child(directory);
    expect(await view.readdir(child)).toEqual([name.toString('latin1')]);
    expect(view.lstat(child, name.toString('latin1')).size).toBe(3n);
    expect(view.lstat(child, name).size).toBe(3n);
  });

  it('refuses names that are none, as ever', () => {
    for (const name of ['..', 'a/b', 'a\0b']) {
      expect(errnoOf(() => view.lstat(view.root, name))).toBe(ENOENT);
      expect(errnoOf(() => view.lstat(view.root, bytes(name)))).toBe(ENOENT);
    }
    expect(errnoOf(() => view.lstat(view.root, 'x'.repeat(300)))).toBe(ENAMETOOLONG);
  });

  it('opens no link, and follows one when it is asked to', () => {
    mkdirSync(join(fixture.root, 'd'));
    writeFileSync(join(fixture.root, 'd/f'), 'content');
    symlinkSync('d/f', join(fixture.root, 'l'));
    symlinkSync(join(fixture.outside, 'file'), join(fixture.root, 'out'));
    expect(errnoOf(() => view.openFile(view.root, 'l'))).toBe(ELOOP);
    const resolved = view.resolve(view.root, bytes('l'), true);
    expect(readAt(view, resolved.directory, String(resolved.name))).toBe('content');
    expect(errnoOf(() => view.resolve(view.root, bytes('out'), true))).toBe(ENOENT);
  });

  it('goes on with descriptors where a path would be too long for the kernel', () => {
    let directory: DirectoryPath = view.root;
    const name = 'n'.repeat(250);
    const chain: DirectoryPath[] = [];
    // Each level is made beside the root and moved down into place: no path is ever too long for the test itself.
    for (let depth = 0; depth < 20; depth++) {
      directory = directory.child(bytes(name));
      chain.push(directory);
    }
    for (let depth = 0; depth < 20; depth++) {
      const [top, below] = [join(fixture.root, name), join(fixture.root, 'below')];
      if (depth === 0) {
        mkdirSync(top);
        writeFileSync(join(top, 'f'), 'deep');
        continue;
      }
      renameSync(top, below);
      mkdirSync(top);
      renameSync(below, join(top, name));
    }
    expect(readAt(view, chain.at(-1)!, 'f')).toBe('deep');
    expect(view.lstat(chain[15]!, name).isDirectory()).toBe(true);
  });
});
