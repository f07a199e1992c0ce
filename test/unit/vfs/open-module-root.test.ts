import { closeSync, fstatSync, lchownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { SandboxError } from '../../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { openModuleRoot } from '../../../src/vfs/open-root.ts';
import { removeTree, scratchDir } from '../../helpers/scratch.ts';
import { openDescriptors } from './view-fixture.ts';

const scratch = scratchDir('root');
mkdirSync(join(scratch, 'real/inner'), { recursive: true });
writeFileSync(join(scratch, 'file'), '');
symlinkSync(join(scratch, 'real'), join(scratch, 'absolute'));
symlinkSync('real', join(scratch, 'relative'));
symlinkSync('../real/inner', join(scratch, 'real/up'));
symlinkSync('loop', join(scratch, 'loop'));
symlinkSync('real', join(scratch, 'planted'));

afterAll(() => removeTree(scratch));

const isRoot = process.geteuid?.() === 0;
if (isRoot) lchownSync(join(scratch, 'planted'), 12345, 12345);

/** Inode of what is opened at a path below the scratch directory. */
function inodeAt(path: string): number {
  const fd = openModuleRoot(Buffer.from(join(scratch, path)), DEFAULT_LIMITS);
  try {
    return fstatSync(fd).ino;
  } finally {
    closeSync(fd);
  }
}

const open = (path: string) => () => openModuleRoot(Buffer.from(join(scratch, path)), DEFAULT_LIMITS);

describe('openModuleRoot', () => {
  it.each([
    ['real', 'real'],
    ['real/./inner/', 'real/inner'],
    ['real/inner/..', 'real'],
    ['absolute/inner', 'real/inner'],
    ['relative/inner', 'real/inner'],
    ['real/up', 'real/inner'],
  ])('opens %s, through links that root or we own', (path, target) => {
    expect(inodeAt(path)).toBe(statSync(join(scratch, target)).ino);
  });

  it.skipIf(!isRoot)('refuses a link of another owner on the way (needs root to make one)', () => {
    expect(open('planted/inner')).toThrow(SandboxError);
    expect(open('planted')).toThrow('belongs to uid 12345');
  });

  it('names the place where it failed', () => {
    expect(open('real/missing/x')).toThrow(`${scratch}/real/missing/x: cannot open`.slice(1));
    expect(open('real/missing')).toThrow(SandboxError);
    expect(open('file')).toThrow('Not a directory (20)');
  });

  it('refuses a loop of links', () => {
    expect(open('loop')).toThrow('too many links');
  });

  it('opens the root of the host, which has no components', () => {
    const fd = openModuleRoot(Buffer.from('/'), DEFAULT_LIMITS);
    expect(fstatSync(fd).ino).toBe(statSync('/').ino);
    closeSync(fd);
  });

  it('leaves no descriptor behind, whether it succeeds or fails', () => {
    inodeAt('real');
    const before = openDescriptors();
    inodeAt('absolute/inner');
    for (const path of ['real/missing', 'file', 'loop', 'file/x']) expect(open(path)).toThrow(SandboxError);
    expect(openDescriptors()).toBe(before);
  });
});
