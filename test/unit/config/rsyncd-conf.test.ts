import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readRsyncdConf } from '../../../src/config/rsyncd-conf.ts';
import { diskFiles } from '../../../src/config/rsyncd-files.ts';
import { makeDirectory, refusal } from './fixture.ts';
import { FILE, moduleKeys, readText, verdictOn } from './rsyncd-fixture.ts';

/** The comment of each module, which shows where defaults come from. Every module needs a path. */
function comments(text: string, others: Record<string, string> = {}): Record<string, unknown> {
  const modules = moduleKeys(`path = /usr\n${text}`, others);
  return Object.fromEntries(modules.map(({ name, comment }) => [name, comment ?? null]));
}

const problems = (text: string, others: Record<string, string> = {}) =>
  readText(text, others).entries.flatMap((entry) => (entry.kind === 'problem' ? [entry] : []));

// Expected values of this block are what a 3.5.0 daemon shows in its module list for the same text.
describe('defaults of an rsyncd.conf', () => {
  it('hold for the modules that follow, and [global] returns to them', () => {
    expect(
      comments('comment = d1\n[a]\n[global]\ncomment = d2\n[b]\n[GLOBAL ]\ncomment = d3\n[c]\ncomment = c'),
    ).toEqual({
      a: 'd1',
      b: 'd2',
      c: 'c',
    });
  });

  it('of texts reach back to modules that never had one, those of booleans do not', () => {
    expect(comments('[a]\n[global]\ncomment = late\n[b]')).toEqual({ a: 'late', b: 'late' });
    expect(moduleKeys('path = /usr\n[a]\n[global]\nlist = no\n[b]').map(({ list }) => list)).toEqual([
      undefined,
      false,
    ]);
  });

  it('are taken away by an empty text', () => {
    expect(comments('comment = x\n[a]\ncomment =\n[b]')).toEqual({ a: null, b: 'x' });
  });

  it('stay as they were when a module is opened again, in any case', () => {
    expect(comments('[a]\ncomment = x\n[b]\n[global]\ncomment = zz\n[ A ]\nlist = yes\n[c]')).toEqual({
      a: 'x',
      b: 'zz',
      c: 'zz',
    });
  });

  it('let the last line win', () => {
    expect(comments('[a]\ncomment = x\nCo m MENT = y')).toEqual({ a: 'y' });
  });
});

describe('&include and &merge', () => {
  const PARTS = {
    '/d/1.conf': 'comment = inc\n[i1]\n',
    '/d/1.inc': 'comment = merged\n',
    '/d/2.conf': '[i2]\n',
    '/d/z.txt': '[x',
  };

  it('include the *.conf files of a directory in order, each with our defaults and none for us', () => {
    expect(comments('comment = top\n&include /d\n[a]', PARTS)).toEqual({ i1: 'inc', i2: 'top', a: 'top' });
  });

  it('go on with the defaults behind an include', () => {
    expect(comments('comment = top\n[a]\n&include /d/1.conf\ncomment = after\n[b]', PARTS)).toEqual({
      a: 'top',
      i1: 'inc',
      b: 'after',
    });
  });

  it('merge the *.inc files of a directory into the open section', () => {
    expect(comments('comment = top\n[a]\n&merge /d\n[b]', PARTS)).toEqual({ a: 'merged', b: 'top' });
    expect(comments('comment = top\n&merge = /d/1.conf\nlist = no\n[b]', PARTS)).toEqual({ i1: 'inc', b: 'inc' });
  });

  it('name the line of the file that was included', () => {
    const [problem] = problems('&include /d/3.conf', { '/d/3.conf': '\n\nnonsense = 1\n' });
    expect(problem?.place).toEqual({ file: '/d/3.conf', line: 3 });
  });

  it.each([
    ['&foo /d', 'unknown directive'],
    ['& include /d', 'unknown directive'],
    ['&include d/x.conf', 'not an absolute file name'],
    ['&include', 'not an absolute file name'],
    ['&include /nowhere', 'no such file'],
  ])('refuse %j', (text, reason) => {
    expect(problems(text, PARTS)[0]?.problem).toContain(reason);
  });

  it('end in files that include themselves, once or twice', () => {
    expect(problems(`&include ${FILE}`).at(-1)?.problem).toContain('files inside each other');
    expect(problems(`&merge ${FILE}\n&merge ${FILE}`).length).toBeLessThanOrEqual(101);
  });

  it('count all files together', () => {
    const wide = Object.fromEntries(Array.from({ length: 70 }, (_, i) => [`/w/${i}.conf`, '&include /v\n']));
    const files = Object.fromEntries(Array.from({ length: 70 }, (_, i) => [`/v/${i}.conf`, 'list = no\n']));
    expect(problems('&include /w', { ...wide, ...files })[0]?.problem).toContain('more than 4096 files');
  });
});

describe('an rsyncd.conf on disk', () => {
  let place: ReturnType<typeof makeDirectory>;
  beforeEach(() => {
    place = makeDirectory();
  });
  afterEach(() => place.remove());

  it('finds directories and sorts their files by bytes, hidden ones first', () => {
    for (const name of ['b.conf', 'C.conf', '.h.conf', 'é.conf', 'x.inc']) place.file(name, `[m-${name}]\n`);
    const top = place.file('top', `&include ${place.dir}\n`);
    expect(readRsyncdConf(diskFiles(), top).modules.map(({ name }) => name)).toEqual([
      'm-.h.conf',
      'm-C.conf',
      'm-b.conf',
      'm-é.conf',
    ]);
  });

  it.each([
    ['a NUL character', 'a = \0', 'NUL'],
    ['bytes that are not UTF-8', Buffer.from([0x5b, 0xff, 0x5d]), 'not valid UTF-8'],
    ['more than a megabyte', ' '.repeat(1_048_577), 'is larger than'],
  ])('refuses %s', (_what, content, reason) => {
    const file = place.file('x.conf', content);
    expect(refusal(() => readRsyncdConf(diskFiles(), file))).toContain(reason);
  });

  it('refuses a file that is missing', () => {
    expect(refusal(() => readRsyncdConf(diskFiles(), `${place.dir}/none.conf`))).toContain('no such file');
  });
});

describe('lines that rsync would skip', () => {
  it.each([
    ['hosts alow = 10.0.0.1', 'unknown parameter; the nearest known one is "hosts allow"'],
    ['read_only = yes', 'nearest known one is "read only"'],
    ['constructor = 1', 'unknown parameter'],
    ['hosts allow 10.0.0.1', 'neither a comment'],
    ['port = 8730', 'belongs to the whole daemon'],
  ])('are refused inside a module: %j', (line, reason) => {
    expect(verdictOn(3, `[a]\npath = /usr\n${line}`)).toMatchObject({
      letter: 'R',
      text: expect.stringContaining(reason),
    });
  });

  it('make every section unfit to serve', () => {
    const text = '[a]\npath = /usr\nhosts alow = 10.0.0.1\n[b]\npath = /usr';
    expect(problems(text)).toHaveLength(1);
    expect(verdictOn(5, text).letter).toBe('I');
  });

  it('ignore a global parameter inside a module when it means nothing to us', () => {
    expect(verdictOn(3, '[a]\npath = /usr\npid file = /run/x')).toMatchObject({ letter: 'W' });
  });

  it('end after a hundred', () => {
    expect(problems('x = 1\n'.repeat(5000))).toHaveLength(100);
  });
});
