import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../../src/errors.ts';
import { DaemonFilter, type DaemonFilterRules, patternsOfFile } from '../../../src/filter/daemon.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { bytes } from './tree-walk.ts';

const NONE: DaemonFilterRules = { filter: [], includeFrom: [], include: [], excludeFrom: [], exclude: [] };

function filterOf(lists: Partial<DaemonFilterRules>): DaemonFilter {
  return new DaemonFilter({ ...NONE, ...lists }, DEFAULT_LIMITS);
}

describe('DaemonFilter', () => {
  it('asks the lists in the order filter, include file, include, exclude file, exclude', () => {
    const lists: [keyof DaemonFilterRules, string][] = [
      ['filter', '- a'],
      ['includeFrom', 'a'],
      ['include', '- b'],
      ['excludeFrom', '+ b'],
      ['exclude', 'c'],
    ];
    const filter = filterOf(Object.fromEntries(lists.map(([key, rule]) => [key, [rule]])));
    expect(['a', 'b', 'c'].map((name) => filter.hides(bytes(name), false))).toEqual([true, true, true]);
  });

  it('takes each element as one rule, blanks and all', () => {
    const filter = filterOf({ exclude: ['a b'] });
    expect(['a b', 'a', 'b'].map((name) => filter.hides(bytes(name), false))).toEqual([true, false, false]);
  });

  it('reads elements as UTF-8', () => {
    expect(filterOf({ exclude: ['é'] }).hides(Buffer.from('é'), false)).toBe(true);
  });

  it('hides what is below an excluded directory by its own name', () => {
    expect(filterOf({ exclude: ['secret/'] }).hides(bytes('secret/a/b'), false)).toBe(true);
  });

  it('keeps a trailing slash of an include rule', () => {
    const filter = filterOf({ include: ['a/'], exclude: ['**'] });
    expect([filter.hides(bytes('a'), true), filter.hides(bytes('a/x'), false)]).toEqual([false, true]);
  });

  it('finds a hidden parent only with hidesWithParents', () => {
    const filter = filterOf({ filter: ['- /secret'] });
    const path = bytes('secret/a/b');
    expect([filter.hides(path, false), filter.hidesWithParents(path, false)]).toEqual([false, true]);
  });

  it('tests parents as directories', () => {
    const filter = filterOf({ filter: ['-! */', '- x'] });
    expect(filter.hidesWithParents(bytes('a/b'), true)).toBe(false);
  });

  it.each(['P x', 'H x', '-r x', '-s x'])('hides by %s, whatever side it names', (rule) => {
    expect(filterOf({ filter: [rule] }).hides(bytes('x'), false)).toBe(true);
  });

  it('clears all lists before a lone exclamation mark', () => {
    expect(filterOf({ filter: ['- x'], exclude: ['!', 'y'] }).hides(bytes('x'), false)).toBe(false);
  });

  it('expands the CVS list', () => {
    expect(filterOf({ filter: ['-C'] }).hides(bytes('d/x.o'), false)).toBe(true);
  });

  it('never hides the module root', () => {
    expect(filterOf({ exclude: ['*', '**'] }).hidesWithParents(bytes(''), true)).toBe(false);
  });

  it.each([{}, { include: ['x'] }, { filter: ['-x attr'] }])('is empty when nothing can be hidden: %j', (lists) => {
    expect(filterOf(lists).isEmpty).toBe(true);
  });

  it.each([
    [{ filter: ['- x', 'bogus'] }, /^filter, rule 2: Unknown filter rule: bogus$/],
    [{ filter: [': .f'] }, /^filter, rule 1: merge rules are not allowed/],
    [{ filter: ['. f'] }, /merge rules are not allowed/],
    [{ exclude: [''] }, /^exclude, rule 1: .*empty/],
    [{ exclude: ['a\0b'] }, /NUL/],
    [{ include: ['- '] }, /^include, rule 1: unexpected end/],
  ])('refuses the configuration %j', (lists, message) => {
    expect(() => filterOf(lists)).toThrow(ConfigError);
    expect(() => filterOf(lists)).toThrow(message);
  });
});

describe('patternsOfFile', () => {
  it('takes lines without comments and empty ones', () => {
    const patterns = patternsOfFile(bytes('# c\n\n; c\r\n a \rb'));
    expect(patterns.map(String)).toEqual([' a ', 'b']);
  });
});
