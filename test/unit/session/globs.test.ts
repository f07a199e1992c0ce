import { describe, expect, it } from 'vitest';
import { LimitError } from '../../../src/errors.ts';
import { compileGlob, hasWildcards } from '../../../src/filter/wildmatch.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { expandGlobs, type GlobDeps, type GlobLimits } from '../../../src/session/globs.ts';
import { TimeSlice } from '../../../src/slice.ts';

/** Paths of a module in directory order; directories end in a slash. */
const TREE = [
  'sub/',
  'sub/c.txt',
  'sub/d/',
  'sub/d/f',
  'b.txt',
  'a.txt',
  '.dot',
  'secret.txt',
  'other/',
  'other/c.txt',
  '[',
];

/** A module in memory; what begins with `secret` is hidden. */
function fakeModule(tree: readonly string[]): GlobDeps & { readonly reads: string[] } {
  const reads: string[] = [];
  const isDirectory = (path: Buffer) => path.length === 0 || tree.includes(`${path}/`);
  return {
    reads,
    isDirectory,
    readdir(dir) {
      reads.push(String(dir));
      if (!isDirectory(dir)) return [];
      const prefix = dir.length === 0 ? '' : `${dir}/`;
      const names = tree.filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length));
      return ['.', '..', ...names.filter((name) => /^[^/]+\/?$/.test(name))].map((name) => name.replace('/', ''));
    },
    exists: (path) => isDirectory(path) || tree.includes(String(path)),
    hidden: (path) => /(^|\/)secret/.test(String(path)),
    compileGlob: (component) => compileGlob(component, DEFAULT_LIMITS),
    hasWildcards,
    literalOf: (bytes) => bytes,
    slice: new TimeSlice(),
  };
}

async function expand(patterns: readonly string[], limits: Partial<GlobLimits> = {}, deps = fakeModule(TREE)) {
  const paths = patterns.map((text) => ({ text: Buffer.from(text) }));
  const expanded = await expandGlobs(paths, deps, { ...DEFAULT_LIMITS, ...limits });
  return expanded.map(({ text }) => String(text));
}

describe('wildcards in path arguments', () => {
  it('match in directory order, dot files too, hidden ones not', async () => {
    expect(await expand(['*'])).toEqual(['sub', 'b.txt', 'a.txt', '.dot', 'other', '[']);
  });

  it.each([
    ['*.txt', ['b.txt', 'a.txt']],
    ['?.txt', ['b.txt', 'a.txt']],
    ['[a]*', ['a.txt']],
    ['*/c.txt', ['sub/c.txt', 'other/c.txt']],
    ['sub/*', ['sub/c.txt', 'sub/d']],
    ['s*/d/*', ['sub/d/f']],
    ['*/', ['sub/', 'other/']],
    ['s*/./c*', ['sub/./c.txt']],
    ['./s*', ['./sub']],
    ['\\a*', ['a.txt']],
  ])('%s becomes %j', async (pattern, texts) => {
    expect(await expand([pattern])).toEqual(texts);
  });

  it.each(['none*', 'none*/x', 'a.txt/*', 'secret*', 'sub/none*', '[', 'b.txt*/'])(
    '%s stays as it is without a match',
    async (pattern) => {
      expect(await expand([pattern], {}, fakeModule(TREE.filter((path) => path !== '[')))).toEqual([pattern]);
    },
  );

  it('do not look at paths without wildcards', async () => {
    const deps = fakeModule(TREE);
    expect(await expand(['none', 'a\\b'], {}, deps)).toEqual(['none', 'a\\b']);
    expect(deps.reads).toEqual([]);
  });

  it('keep the order of the arguments', async () => {
    expect(await expand(['other', 'b*', 'sub'])).toEqual(['other', 'b.txt', 'sub']);
  });

  it('are expanded once when they come twice', async () => {
    const deps = fakeModule(TREE);
    expect(await expand(Array(800).fill('*.txt'), {}, deps)).toEqual(['b.txt', 'a.txt']);
    expect(deps.reads).toHaveLength(1);
  });

  it('look into no hidden directory', async () => {
    const deps = fakeModule(['secret/', 'secret/x']);
    expect(await expand(['secret/*'], {}, deps)).toEqual(['secret/*']);
    expect(deps.reads).toEqual([]);
  });

  it('give no path that is too long', async () => {
    expect(await expand(['*/c.txt'], { pathBytes: 9 })).toEqual(['sub/c.txt']);
  });
});

describe('bounds of wildcards', () => {
  const limit = (name: string) => expect.objectContaining({ constructor: LimitError, limit: name });

  it('accepts as many patterns as the limit and refuses one more', async () => {
    const patterns = (count: number) => Array.from({ length: count }, (_, i) => `none${i}*`);
    expect(await expand(patterns(4), { globPatterns: 4 })).toHaveLength(4);
    await expect(expand(patterns(5), { globPatterns: 4 })).rejects.toEqual(limit('globPatterns'));
  });

  it('accepts as many results as the limit and refuses one more, over all patterns', async () => {
    expect(await expand(['a*', 'b*'], { globResults: 2 })).toHaveLength(2);
    await expect(expand(['a*', 'b*'], { globResults: 1 })).rejects.toEqual(limit('globResults'));
  });

  it('refuses reading too many directory entries, over all patterns', async () => {
    await expect(expand(['a*', 'b*'], { globDirents: 13 })).rejects.toEqual(limit('globDirents'));
  });

  it('expands to 100 000 names', async () => {
    const names = Array.from({ length: 100_000 }, (_, i) => `f${i}`);
    const deps = { ...fakeModule([]), readdir: () => names, isDirectory: () => false, exists: () => true };
    expect(await expandGlobs([{ text: Buffer.from('f*') }], deps, DEFAULT_LIMITS)).toHaveLength(100_000);
  });
});
