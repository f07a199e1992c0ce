import { describe, expect, it } from 'vitest';
import { Bug, LimitError, RsyncError } from '../../../src/errors.ts';
import { ClientFilterList } from '../../../src/filter/list.ts';
import type { MergeReader } from '../../../src/filter/types.ts';
import { DEFAULT_LIMITS, type Limits } from '../../../src/limits.ts';
import { bytes, clientList, listTree } from './tree-walk.ts';

const NO_FILES: MergeReader = () => null;
const ROOT = bytes('');

function newList(limits: Partial<Limits> = {}): ClientFilterList {
  return new ClientFilterList({ protocol: 31, limits: { ...DEFAULT_LIMITS, ...limits }, cvsLetter: false });
}

/** A reader of these files, which notes what it was asked for. */
function reader(files: Record<string, string>, asked: string[] = []): MergeReader {
  return (path) => {
    asked.push(path.toString('latin1'));
    const content = files[path.toString('latin1')];
    return content === undefined ? null : bytes(content);
  };
}

function failure(action: () => unknown): RsyncError {
  try {
    action();
  } catch (error) {
    if (error instanceof RsyncError) return error;
  }
  throw new Error('no error');
}

/** The limit that entering the root meets. */
function limitOnEntry(list: ClientFilterList, files: Record<string, string>): string | null {
  list.finish();
  try {
    list.rootScope(ROOT, reader(files)).enter(bytes('.'));
  } catch (error) {
    if (error instanceof LimitError) return error.limit ?? null;
    throw error;
  }
  return null;
}

describe('ClientFilterList', () => {
  it.each(['P x', '-r x', ':r .f'])('drops %s, which is for the receiving side', (record) => {
    const names = listTree({ tree: { x: '', '.f': '- x' }, records: [record] });
    expect(names).toEqual(['.', '.f', 'x']);
  });

  it('places option rules before received ones', () => {
    const list = newList();
    list.addRecord(bytes('- x'));
    list.addOptionRule(bytes('+ x'));
    list.finish();
    expect(list.rootScope(ROOT, NO_FILES).hides(bytes('x'), false)).toBe(false);
  });

  it('reads option rules in modern syntax at every protocol', () => {
    const list = new ClientFilterList({ protocol: 28, limits: DEFAULT_LIMITS, cvsLetter: false });
    list.addOptionRule(bytes('-_x'));
    list.finish();
    expect(list.rootScope(ROOT, NO_FILES).hides(bytes('x'), false)).toBe(true);
  });

  it('ignores what follows a NUL', () => {
    expect(clientList(['- x\0y', '\0']).rootScope(ROOT, NO_FILES).hides(bytes('x'), false)).toBe(true);
  });

  it('handles names longer than its scratch space', () => {
    const name = `${'d/'.repeat(2000)}x`;
    const scope = clientList(['-/ b/**/x']).rootScope(bytes('b'), NO_FILES);
    expect([scope.hides(bytes('y'), false), scope.hides(bytes(name), false)]).toEqual([false, true]);
  });

  it('does not take rules after its end', () => {
    expect(() => clientList([]).addRecord(bytes('- x'))).toThrow(Bug);
  });

  it('gives no scope before its end', () => {
    expect(() => newList().rootScope(ROOT, NO_FILES)).toThrow(Bug);
  });
});

describe('limits of a filter list', () => {
  it.each([
    ['filterRecordBytes', { filterRecordBytes: 10 }, ['- 123456789']],
    ['filterPatternBytes', { filterPatternBytes: 3 }, ['- 1234']],
    ['filterBytes', { filterBytes: 10 }, ['- 123', '- 456', '- 7']],
    ['filterRules', { filterRules: 2 }, ['- 1', '- 2', '- 3']],
  ])('%s is refused while the list arrives', (limit, limits, records) => {
    const list = newList(limits);
    const add = () => records.map((record) => list.addRecord(bytes(record)));
    expect(failure(add)).toMatchObject({ limit });
  });

  it('accepts as many rules as are allowed', () => {
    const list = newList({ filterRules: 2 });
    for (const record of ['- 1', '- 2']) list.addRecord(bytes(record));
    expect(limitOnEntry(list, {})).toBeNull();
  });

  it.each([
    ['filterRules', { filterRules: 30 }, '-C', {}],
    ['filterRules', { filterRules: 3 }, ': f', { f: '- 1\n- 2\n- 3\n' }],
    ['mergeFileBytes', { mergeFileBytes: 4 }, ': f', { f: '- 123' }],
    ['filterBytes', { filterBytes: 10 }, '. f', { f: '. g\n# 123456', g: '' }],
    ['mergeDepth', {}, '. f', { f: '. f' }],
    ['mergeRules', {}, '. f', { f: '. g\n'.repeat(100), g: '' }],
    ['mergeRules', {}, '. f', { f: Array.from({ length: 100 }, (_, index) => `: ${index}`).join('\n') }],
  ])('%s bounds what merge files add', (limit, limits, record, files) => {
    const list = newList(limits);
    list.addRecord(bytes(record));
    expect(limitOnEntry(list, files as Record<string, string>)).toBe(limit);
  });

  it('counts the rules of all merge files in force', () => {
    const list = newList({ filterRules: 5 });
    list.addRecord(bytes(': f'));
    list.finish();
    const files = reader({ f: '- 1\n- 2', 'a/f': '- 1\n- 2', 'a/b/f': '- 1\n- 2' });
    const scope = list.rootScope(ROOT, files).enter(bytes('.')).enter(bytes('a'));
    expect(failure(() => scope.enter(bytes('a/b')))).toMatchObject({ limit: 'filterRules' });
  });

  it('gives the room of a left directory back', () => {
    const list = newList({ filterRules: 5 });
    list.addRecord(bytes(': f'));
    list.finish();
    const scope = list.rootScope(ROOT, reader({ 'a/f': '- 1\n- 2\n- 3', 'b/f': '- 1\n- 2\n- 3' })).enter(bytes('.'));
    scope.enter(bytes('a'));
    expect(() => scope.enter(bytes('b'))).not.toThrow();
  });

  it('lets 10 000 costly patterns use only the work that names allow', () => {
    const list = newList();
    for (let count = 0; count < 10_000; count++) list.addRecord(bytes(`- *a*${count}*a?`));
    list.finish();
    const scope = list.rootScope(ROOT, NO_FILES);
    const name = bytes(`${'ab'.repeat(60)}x`);
    const hideMany = () => {
      for (let count = 0; count < 1000; count++) scope.hides(name, false);
    };
    expect(failure(hideMany)).toMatchObject({ limit: 'filterStepsPerName' });
  });
});

describe('scopes', () => {
  it('are empty without rules that hide', () => {
    const scope = clientList(['+ x', 'R y', 'P z']).rootScope(ROOT, NO_FILES);
    expect([scope.isEmpty, scope.hides(bytes('x'), false)]).toEqual([true, false]);
  });

  it.each([['- x'], [': .f'], ['-C']])('are not empty with %s', (record) => {
    expect(clientList([record]).rootScope(ROOT, NO_FILES).isEmpty).toBe(false);
  });

  it('stay the same object where no merge file says anything', () => {
    const plain = clientList(['- x']).rootScope(ROOT, NO_FILES);
    const merging = clientList([': .f'])
      .rootScope(ROOT, reader({ '.f': '- x' }))
      .enter(bytes('.'));
    expect([plain.enter(bytes('a')) === plain, merging.enter(bytes('a')) === merging]).toEqual([true, true]);
  });

  it('are not changed by entering a sub-directory', () => {
    const scope = clientList([': .f'])
      .rootScope(ROOT, reader({ 'a/.f': '- x' }))
      .enter(bytes('.'));
    const below = scope.enter(bytes('a'));
    expect([scope.hides(bytes('x'), false), below.hides(bytes('a/x'), false)]).toEqual([false, true]);
  });

  it('hide no argument by the merge file beside it', () => {
    const scope = clientList([': .f']).rootScope(ROOT, reader({ '.f': '- x' }));
    expect(scope.hides(bytes('x'), false)).toBe(false);
  });

  it('share one scratch space without mixing up transfer roots', () => {
    const list = clientList(['-/ /a/x']);
    const scopes = ['a', 'b', ''].map((base) => list.rootScope(bytes(base), NO_FILES));
    expect(scopes.map((scope) => scope.hides(bytes('x'), false))).toEqual([true, false, false]);
    expect(scopes[2]!.hides(bytes('a/x'), false)).toBe(true);
  });
});

describe('merge files', () => {
  it.each([': ../../etc/passwd', ': /../../etc/passwd', '. ../../../etc/passwd', ': ..', ': a/..', ': .'])(
    '%s asks for nothing outside the module',
    (record) => {
      const asked: string[] = [];
      const list = clientList([record]);
      try {
        list.rootScope(bytes('a/b'), reader({}, asked)).enter(bytes('.'));
      } catch (error) {
        expect(error).toMatchObject({ code: 'filter-merge' });
      }
      expect(asked.filter((path) => path.startsWith('/') || path.split('/').includes('..'))).toEqual([]);
    },
  );

  it('end a session whose single merge file cannot be read with exit code 11', () => {
    expect(failure(() => clientList(['. f']).rootScope(ROOT, NO_FILES)).exit).toBe(11);
  });

  it('read a single merge file once for all transfer roots', () => {
    const asked: string[] = [];
    const list = clientList(['. f']);
    for (const base of ['', 'a']) list.rootScope(bytes(base), reader({ f: '- x' }, asked));
    expect(asked).toEqual(['f']);
  });

  it.each([': secret', '. secret', ':w secret'])('are never quoted in the error that %s causes', (record) => {
    const open = () =>
      clientList([record])
        .rootScope(ROOT, reader({ secret: 'root:hunter2' }))
        .enter(bytes('.'));
    const error = failure(open);
    expect(`${error.message}${error.tell}`).not.toContain('hunter2');
    expect(error.tell).toMatch(/^Unknown filter rule: <rule from secret (line|word) 1>\n$/);
  });

  it('quote neither a name that they merge', () => {
    const open = () => clientList(['. secret']).rootScope(ROOT, reader({ secret: '. hunter2' }));
    expect(failure(open).tell).toBe('failed to open exclude file <rule from secret line 1>\n');
  });

  it('drop lines longer than a pattern may be', () => {
    const names = listTree({ tree: { x: '', f: `- ${'*'.repeat(5000)}\n- x` }, records: [': f'] });
    expect(names).toEqual(['.', 'f']);
  });
});
