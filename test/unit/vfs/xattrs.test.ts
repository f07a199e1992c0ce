import { spawnSync } from 'node:child_process';
import { closeSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Bug, VanishedError } from '../../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { ModuleView } from '../../../src/vfs/module-root.ts';
import { openModuleRoot } from '../../../src/vfs/open-root.ts';
import { loadXattrCalls, XattrCalls, type XattrFunctions } from '../../../src/vfs/xattrs.ts';
import { removeTree, scratchDir } from '../../helpers/scratch.ts';
import { bytes, errnoOf } from './view-fixture.ts';

const EACCES = 13;
const ENOENT = 2;
const E2BIG = 7;
const ERANGE = 34;
const ENAMETOOLONG = 36;
const ENODATA = 61;
const ENOTSUP = 95;

const PATH = bytes('/proc/self/fd/9/name');

/** System calls that put `result` into the caller's buffer, or fail with `errno`. */
function answering(result: Buffer | number, asked: string[] = []): XattrCalls {
  const answer = (into: Buffer): bigint => (typeof result === 'number' ? -1n : BigInt(result.copy(into)));
  const cString = (text: Buffer): string => text.toString('latin1', 0, text.indexOf(0));
  const functions: XattrFunctions = {
    llistxattr(path, list) {
      asked.push(cString(path));
      return answer(list);
    },
    lgetxattr(path, name, value) {
      asked.push(`${cString(path)} ${cString(name)}`);
      return answer(value);
    },
    errno: () => (typeof result === 'number' ? result : 0),
  };
  return new XattrCalls(functions);
}

const value = (calls: XattrCalls, maxBytes = 65_536) => calls.value(PATH, bytes('user.a'), maxBytes);

describe('XattrCalls', () => {
  it('splits the list of names', () => {
    const names = answering(Buffer.from('user.b\0user.\xe4\0', 'latin1')).names(PATH);
    expect(names).toEqual([bytes('user.b'), Buffer.from('user.\xe4', 'latin1')]);
    expect(answering(Buffer.alloc(0)).names(PATH)).toEqual([]);
  });

  it('ends what it passes on with a NUL, however long the text before was', () => {
    const asked: string[] = [];
    const calls = answering(bytes('v'), asked);
    calls.value(bytes('/a/long/path'), bytes('user.long-name'), 10);
    calls.value(bytes('/p'), bytes('user.n'), 10);
    calls.names(bytes('/q'));
    expect(asked).toEqual(['/a/long/path user.long-name', '/p user.n', '/q']);
  });

  it('gives values that later calls do not change', () => {
    const calls = answering(bytes('first'));
    const first = value(calls);
    calls.names(PATH);
    expect(first).toEqual(bytes('first'));
  });

  it('finds nothing where there is nothing or the file system knows no attributes', () => {
    expect(answering(ENOTSUP).names(PATH)).toEqual([]);
    expect([value(answering(ENODATA)), value(answering(ENOTSUP))]).toEqual([null, null]);
  });

  it.each([
    [EACCES, EACCES],
    [ERANGE, E2BIG],
  ])('reports error %i as %i', (errno, reported) => {
    expect(errnoOf(() => value(answering(errno)))).toBe(reported);
    expect(errnoOf(() => answering(errno).names(PATH))).toBe(reported);
  });

  it('tells a vanished entry from other failures', () => {
    expect(() => answering(ENOENT).names(PATH)).toThrow(VanishedError);
  });

  it('asks again with all the room that there can be when a value is long', () => {
    const sizes: bigint[] = [];
    const long = Buffer.alloc(2000, 'v');
    const fill = (into: Buffer, size: bigint): bigint => {
      sizes.push(size);
      return size < long.length ? -1n : BigInt(long.copy(into));
    };
    const calls = new XattrCalls({
      llistxattr: (_path, list, size) => fill(list, size),
      lgetxattr: (_path, _name, into, size) => fill(into, size),
      errno: () => ERANGE,
    });
    expect(value(calls)).toEqual(long);
    expect(sizes).toEqual([1024n, 65_536n]);
  });

  it('refuses a value above the limit', () => {
    expect(value(answering(bytes('12345')), 5)).toEqual(bytes('12345'));
    expect(errnoOf(() => value(answering(bytes('123456')), 5))).toBe(E2BIG);
  });

  it('passes no text on that the kernel would cut', () => {
    const calls = answering(bytes('v'));
    expect(errnoOf(() => calls.names(bytes('/a\0b')))).toBe(ENAMETOOLONG);
    expect(errnoOf(() => calls.names(Buffer.alloc(512, 'a')))).toBe(ENAMETOOLONG);
  });
});

describe('a view', () => {
  let root: string;
  let rootFd: number;

  beforeEach(() => {
    root = scratchDir('xattrs');
    writeFileSync(join(root, 'file'), 'content');
    symlinkSync('file', join(root, 'link'));
    rootFd = openModuleRoot(Buffer.from(root), DEFAULT_LIMITS);
  });

  afterEach(() => {
    closeSync(rootFd);
    removeTree(root);
  });

  it('reads names and values of the real system, of a link itself and of the root', async (context) => {
    const isSet = (target: string) => spawnSync('setfattr', ['-n', 'user.a', '-v', 'value', target]).status === 0;
    // The tool or attributes on the temporary directory may be missing.
    if (!isSet(join(root, 'file')) || !isSet(root)) return context.skip();
    const view = new ModuleView({ fd: rootFd, linklessPath: null }, DEFAULT_LIMITS, await loadXattrCalls());
    try {
      for (const name of ['file', '.']) {
        expect(view.xattrNames(view.root, bytes(name))).toContainEqual(bytes('user.a'));
        expect(view.xattr(view.root, bytes(name), bytes('user.a'))).toEqual(bytes('value'));
        expect(view.xattr(view.root, bytes(name), bytes('user.b'))).toBeNull();
      }
      expect(view.xattrNames(view.root, bytes('link'))).not.toContainEqual(bytes('user.a'));
    } finally {
      view.close();
    }
  });

  it('lets no name leave the directory', async () => {
    const view = new ModuleView({ fd: rootFd, linklessPath: null }, DEFAULT_LIMITS, await loadXattrCalls());
    try {
      for (const name of ['..', '../x', 'a/b', 'a\0']) {
        expect(errnoOf(() => view.xattrNames(view.root, bytes(name)))).toBe(ENOENT);
      }
      expect(errnoOf(() => view.xattrNames(view.root, bytes('missing')))).toBe(ENOENT);
    } finally {
      view.close();
    }
  });

  it('of a module without attributes reads none', () => {
    const view = new ModuleView({ fd: rootFd, linklessPath: null }, DEFAULT_LIMITS);
    expect(() => view.xattrNames(view.root, bytes('file'))).toThrow(Bug);
    view.close();
  });
});
