import { describe, expect, it } from 'vitest';
import { DaemonFilter } from '../../../src/filter/daemon.ts';
import { ClientFilterList } from '../../../src/filter/list.ts';
import type { FilterScope } from '../../../src/filter/types.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { bytes } from './tree-walk.ts';

function scopeOf(records: readonly string[], files: Readonly<Record<string, string>> = {}): FilterScope {
  const list = new ClientFilterList({ protocol: 31, limits: DEFAULT_LIMITS, cvsLetter: false });
  for (const record of records) list.addRecord(bytes(record));
  list.finish();
  return list.rootScope(bytes(''), (path) => {
    const content = files[path.toString('latin1')];
    return content === undefined ? null : bytes(content);
  });
}

const hidden = (scope: FilterScope, names: readonly string[]) => names.filter((name) => scope.hidesXattr(bytes(name)));
const NAMES = ['user.a', 'user.b', 'security.s'];

describe('rules with the modifier x', () => {
  it('are about attributes alone', () => {
    const scope = scopeOf(['-x user.a', '- user.b']);
    expect(hidden(scope, NAMES)).toEqual(['user.a']);
    expect(['user.a', 'user.b'].map((name) => scope.hides(bytes(name), false))).toEqual([false, true]);
    expect(scope.hasXattrRules).toBe(true);
  });

  it('leave names of files without rules', () => {
    expect(scopeOf(['-x *']).isEmpty).toBe(true);
    expect(scopeOf(['- *']).hasXattrRules).toBe(false);
    expect(hidden(scopeOf(['- *']), NAMES)).toEqual([]);
  });

  it('are tried in order, with wildcards and negation', () => {
    expect(hidden(scopeOf(['+x user.b', '-x user.*']), NAMES)).toEqual(['user.a']);
    expect(hidden(scopeOf(['-x! user.*']), NAMES)).toEqual(['security.s']);
  });

  it('may come from merge files', () => {
    const root = scopeOf([': .rules'], { 'd/.rules': '-x user.a\n' });
    const below = root.enter(bytes('.')).enter(bytes('d'));
    expect([root.enter(bytes('.')).hasXattrRules, below.hasXattrRules]).toEqual([false, true]);
    expect(hidden(below, NAMES)).toEqual(['user.a']);
  });

  it('of a module hide attributes and no files', () => {
    const filter = new DaemonFilter(
      { filter: ['-x user.a', '- user.b'], includeFrom: [], include: [], excludeFrom: [], exclude: [] },
      DEFAULT_LIMITS,
    );
    expect(NAMES.filter((name) => filter.hidesXattr(bytes(name)))).toEqual(['user.a']);
    expect(NAMES.filter((name) => filter.hides(bytes(name), false))).toEqual(['user.b']);
    expect(filter.hasXattrRules).toBe(true);
  });
});
