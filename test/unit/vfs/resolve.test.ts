import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileError } from '../../../src/errors.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { directoryOf, ModuleView, resolvedPath } from '../../../src/vfs/module-root.ts';
import { closeModuleRoot, openModuleRoot } from '../../../src/vfs/open-root.ts';
import { bytes, makeView, type ViewFixture } from './view-fixture.ts';

let fixture: ViewFixture;

beforeEach(() => {
  fixture = makeView();
  mkdirSync(join(fixture.root, 'a/b'), { recursive: true });
  writeFileSync(join(fixture.root, 'f'), 'root file');
  writeFileSync(join(fixture.root, 'a/b/g'), 'deep file');
});

afterEach(() => {
  fixture.remove();
});

const link = (target: string, path: string) => symlinkSync(target, join(fixture.root, path));

/** Path from the module root of what a path leads to. */
function resolved(path: string, followLast = true): string {
  return String(resolvedPath(fixture.view.resolve(fixture.view.root, bytes(path), followLast)));
}

function errnoOf(path: string): number {
  try {
    resolved(path);
  } catch (thrown) {
    if (thrown instanceof FileError) return thrown.errno;
    throw thrown;
  }
  throw new Error(`${path} was resolved`);
}

const ENOENT = 2;
const ENOTDIR = 20;
const ELOOP = 40;

describe('resolving inside the module', () => {
  it('keeps a path without links, and the root', () => {
    expect([resolved('a/b/g'), resolved('a//./b/'), resolved(''), resolved('.')]).toEqual(['a/b/g', 'a/b', '', '']);
  });

  it('follows relative links in the middle and at the end', () => {
    link('a/b', 'l');
    link('../../f', 'a/b/up');
    expect([resolved('l/g'), resolved('l'), resolved('a/b/up'), resolved('l/up')]).toEqual(['a/b/g', 'a/b', 'f', 'f']);
  });

  it('leaves the last link alone when asked to', () => {
    link('a', 'l');
    link('b', 'a/m');
    expect([resolved('l', false), resolved('l/m', false)]).toEqual(['l', 'a/m']);
  });

  it('goes up from where a link led, not from where it stood', () => {
    link('a/b', 'l');
    expect(resolved('l/..')).toBe('a');
    expect(resolved('l/../..')).toBe('');
  });

  it('gives a link to the root as the root', () => {
    link('..', 'a/top');
    const found = fixture.view.resolve(fixture.view.root, bytes('a/top'), true);
    expect([found.name, directoryOf(found)]).toEqual([null, fixture.view.root]);
    expect(fixture.view.statResolved(found).isDirectory()).toBe(true);
  });

  it('finds attributes of what a link leads to', () => {
    link('../../f', 'a/b/up');
    const found = fixture.view.resolve(fixture.view.root, bytes('a/b/up'), true);
    expect(fixture.view.statResolved(found).size).toBe(BigInt('root file'.length));
  });

  it('starts a relative path where it is told to', () => {
    const b = fixture.view.root.child(bytes('a')).child(bytes('b'));
    expect(String(resolvedPath(fixture.view.resolve(b, bytes('../b/g'), true)))).toBe('a/b/g');
  });
});

describe('links that lead out', () => {
  it.each([
    ['an absolute link', '/etc/passwd'],
    ['an absolute link to the root of the host', '/'],
    ['a climb out of the module', '../outside/file'],
    ['a climb by a detour', 'a/../../outside/file'],
    ['a climb that would come back', '../module/f'],
    ['a long climb', '../../../../../../../../etc/passwd'],
  ])('are dangling for us: %s', (_, target) => {
    link(target, 'evil');
    expect(errnoOf('evil')).toBe(ENOENT);
    link('evil', 'indirect');
    expect(errnoOf('indirect')).toBe(ENOENT);
    expect(errnoOf('indirect/x')).toBe(ENOENT);
  });

  it('an absolute link back into the module is one of them', () => {
    link(join(fixture.root, 'f'), 'home');
    expect(errnoOf('home')).toBe(ENOENT);
  });

  it('so is a path of dots alone', () => {
    expect([errnoOf('..'), errnoOf('../outside/file'), errnoOf('a/../../outside')]).toEqual([ENOENT, ENOENT, ENOENT]);
  });
});

describe('links that lead nowhere', () => {
  it('a loop ends with ELOOP', () => {
    link('loop2', 'loop1');
    link('loop1', 'loop2');
    link('self/x', 'self');
    expect([errnoOf('loop1'), errnoOf('loop2/x'), errnoOf('self')]).toEqual([ELOOP, ELOOP, ELOOP]);
  });

  it('as many links as the limit are followed, one more is not', () => {
    const { linkHops } = DEFAULT_LIMITS;
    link('f', 'l1');
    for (let i = 2; i <= linkHops + 1; i++) link(`l${i - 1}`, `l${i}`);
    expect(resolved(`l${linkHops}`)).toBe('f');
    expect(errnoOf(`l${linkHops + 1}`)).toBe(ELOOP);
  });

  it('links in the middle count too', () => {
    link('.', 'here');
    const path = (count: number) => `${'here/'.repeat(count)}f`;
    expect(resolved(path(DEFAULT_LIMITS.linkHops))).toBe('f');
    expect(errnoOf(path(DEFAULT_LIMITS.linkHops + 1))).toBe(ELOOP);
  });

  it('a missing target and a file used as a directory are told apart', () => {
    link('missing', 'dangling');
    expect([errnoOf('dangling'), errnoOf('f/x'), errnoOf('missing/../f')]).toEqual([ENOENT, ENOTDIR, ENOENT]);
  });
});

describe('a view of the whole system', () => {
  const whole = (path: string, followLast = true): string => {
    const rootFd = openModuleRoot(bytes('/'), DEFAULT_LIMITS);
    const view = new ModuleView({ fd: rootFd, linklessPath: null, isWholeSystem: true }, DEFAULT_LIMITS);
    try {
      return `/${resolvedPath(view.resolve(view.root, bytes(join(fixture.root, path)), followLast))}`;
    } finally {
      view.close();
      closeModuleRoot(rootFd);
    }
  };

  it('follows absolute links and those that climb', () => {
    link(join(fixture.outside, 'file'), 'absolute');
    link('../outside/file', 'climbing');
    link('../../../../../../../../../../../..', 'top');
    expect(whole('absolute')).toBe(join(fixture.outside, 'file'));
    expect(whole('climbing')).toBe(join(fixture.outside, 'file'));
    expect(whole('top')).toBe('/');
  });

  it('goes up from where a link leads', () => {
    link('a/b', 'l');
    expect(whole('l')).toBe(join(fixture.root, 'a/b'));
    const rootFd = openModuleRoot(bytes('/'), DEFAULT_LIMITS);
    const view = new ModuleView({ fd: rootFd, linklessPath: null, isWholeSystem: true }, DEFAULT_LIMITS);
    const up = resolvedPath(view.resolve(view.root, bytes(`${fixture.root}/l/..`), true));
    const above = resolvedPath(view.resolve(view.root, bytes('..'), true));
    view.close();
    closeModuleRoot(rootFd);
    expect([`/${up}`, String(above)]).toEqual([join(fixture.root, 'a'), '']);
  });

  it('leaves a link in the last place alone when told so', () => {
    link('/etc', 'absolute');
    expect(whole('absolute', false)).toBe(join(fixture.root, 'absolute'));
  });
});
