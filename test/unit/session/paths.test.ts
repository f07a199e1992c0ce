import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cleanPath, type PathContext, preparePaths } from '../../../src/session/paths.ts';

function prepare(args: readonly string[], context: Partial<PathContext> = {}): string[] {
  const paths = preparePaths(
    args.map((arg) => Buffer.from(arg, 'latin1')),
    { module: Buffer.from('pub'), relative: false, secludedArgs: false, ...context },
  );
  return paths.map(({ text }) => text.toString('latin1'));
}

describe('path arguments', () => {
  it('stand for the root when there are none', () => {
    expect(prepare([])).toEqual(['']);
  });

  it.each([
    ['pub', ''],
    ['pub/', ''],
    ['pub/.', ''],
    ['', ''],
    ['.', ''],
    ['pub/a', 'a'],
    ['pub/a/', 'a/'],
    ['pub/a/.', 'a/'],
    ['a/b', 'a/b'],
    ['pub2/x', 'pub2/x'],
    ['pub//a///b', 'a/b'],
    ['/etc/passwd', 'etc/passwd'],
    ['pub/./a/./b', 'a/b'],
    ['pub/-x', '-x'],
    ['pub/a\\*', 'a\\*'],
  ])('%j becomes %j', (arg, text) => {
    expect(prepare([arg])).toEqual([text]);
  });

  it.each([
    ['pub/../../etc/x', 'etc/x'],
    ['pub/..', ''],
    ['pub/a/..', ''],
    ['pub/a/b/..', 'a/'],
    ['pub//../x', 'x'],
    ['pub/a/../../../b/../c', 'c'],
    ['../pub/x', 'pub/x'],
    ['pub/...', '...'],
    ['pub/%2e%2e/x', '%2e%2e/x'],
  ])('cannot climb out: %j becomes %j', (arg, text) => {
    expect(prepare([arg])).toEqual([text]);
  });

  it.each([
    ['pub/a.txt pub/b', ['a.txt', 'b']],
    ['pub/a pub/b/ pub/c d', ['a', 'b/', 'c d']],
    ['pub pub/b', ['', 'b']],
    ['pub/a[ ]pub/b', ['a[ ]pub/b']],
    ['pub/a public/b', ['a public/b']],
  ])('of old clients are split: %j', (arg, texts) => {
    expect(prepare([arg])).toEqual(texts);
  });

  it('are not split with -s', () => {
    expect(prepare(['pub/a pub/b'], { secludedArgs: true })).toEqual(['a pub/b']);
  });
});

describe('path arguments with --relative', () => {
  it.each([
    ['pub/a/./b/c', 'a/./b/c'],
    ['pub/./a', './a'],
    ['pub//./a', './a'],
    ['pub/a/./', 'a/./'],
    ['pub/a/./b/./c', 'a/./b/c'],
    ['pub/./a/./b', 'a/./b'],
    ['pub/a/.', 'a/'],
    ['pub/./', ''],
    ['pub/a/../b/./c', 'b/./c'],
    ['pub/a/./x/../../c', 'a/./c'],
    ['pub/./../../x', './x'],
    ['pub/a//./b', 'a/./b'],
    ['pub/a/b/', 'a/b/'],
  ])('%j becomes %j', (arg, text) => {
    expect(prepare([arg], { relative: true })).toEqual([text]);
  });
});

describe('path arguments over a remote shell', () => {
  const shell = (arg: string, relative = false) => prepare([arg], { module: null, relative });

  it.each([
    ['/srv/mod/', ['/srv/mod/']],
    ['/', ['/']],
    ['a//b/./c', ['a/b/c']],
    ['../x', ['../x']],
    ['pub/a pub/b', ['pub/a pub/b']],
  ])('%j becomes %j', (arg, texts) => {
    expect(shell(arg)).toEqual(texts);
  });

  it.each([
    ['/srv/./a', ['/srv/./a']],
    ['./a/b', ['./a/b']],
    ['../x/./a', ['../x/./a']],
  ])('%j with --relative becomes %j', (arg, texts) => {
    expect(shell(arg, true)).toEqual(texts);
  });

  it.each(['../x', 'a/../b', 'x/./a/..'])('refuses %j with --relative, exit 1', (arg) => {
    const tell = `found ".." dir in relative path: ${arg}\n`;
    expect(() => shell(arg, true)).toThrow(expect.objectContaining({ exit: 1, tell }));
  });
});

describe('cleaning', () => {
  const anyPath = fc
    .array(fc.constantFrom('..', '.', '', 'a', 'b', '...'), { maxLength: 12 })
    .map((parts) => parts.join('/'));
  const clean = (path: string, keepMarker: boolean) => cleanPath(Buffer.from(path), keepMarker).toString();

  it('never leaves `..`, a leading slash or an empty component', () => {
    fc.assert(
      fc.property(anyPath, fc.boolean(), (path, keepMarker) => {
        const cleaned = clean(path, keepMarker);
        expect(cleaned.split('/')).not.toContain('..');
        expect(cleaned).not.toMatch(/^\/|\/\//);
      }),
    );
  });

  it('changes nothing the second time', () => {
    fc.assert(
      fc.property(anyPath, fc.boolean(), (path, keepMarker) => {
        const once = clean(path, keepMarker);
        expect(clean(once, keepMarker)).toBe(once);
      }),
    );
  });

  it('keeps at most one marker', () => {
    fc.assert(
      fc.property(anyPath, (path) => {
        expect(
          clean(path, true)
            .split('/')
            .filter((component) => component === '.').length,
        ).toBeLessThanOrEqual(1);
      }),
    );
  });
});
