/** Makes filter-cases.json: what a real rsync daemon lists under given filter records. `node test/vectors/make-filter-cases.ts`. */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FilterDaemon, type Tree } from './filter-daemon.ts';

interface Question {
  readonly tree: string | Tree;
  readonly path?: string;
  readonly protocol?: number;
  readonly records?: readonly string[];
  readonly cvsLetter?: boolean;
  /** Parameters of the module, one rule each. */
  readonly module?: Readonly<Record<string, string>>;
}

/** Names chosen so that each row of the matching table (1-session.md 7.5) has a name that matches and one that nearly does. */
const TREES: Readonly<Record<string, Tree>> = {
  names: {
    'a.o': '',
    'a.o~': '',
    'a b': '',
    ' lead': '',
    'trail ': '',
    'a\\b': '',
    'a*': '',
    ab1: '',
    'a-b': '',
    'a]': '',
    '.hid': '',
    '\xc3\xa9': '',
    core: '',
    'CVS/x': '',
    '.git/x': '',
    keep1: '',
  },
  deep: {
    bar: '',
    'foo/bar': '',
    'a/foo/bar': '',
    'a/foo/x/bar': '',
    'x/y/q': '',
    'x/y/z/q': '',
    'dir/f': '',
    'dir/sub/f': '',
    'dir/sub/sub/g': '',
    'other/dir/f': '',
    'e/': '',
  },
};

/** Files around a merge file `sub/.f`. */
function merging(content: string, more: Tree = {}): Tree {
  const files = ['x', 'y', 'sub/x', 'sub/y', 'sub/z', 'sub/d/x', 'sub/d/y', 'sub/d/z', 'sub/d/d/x', 'other/x'];
  return { ...Object.fromEntries(files.map((name) => [name, ''])), 'sub/.f': content, ...more };
}

const rows = (tree: string, records: readonly string[], path = ''): Question[] =>
  records.map((record) => ({ tree, path, records: [record] }));

const QUESTIONS: readonly Question[] = [
  // Tokens.
  ...rows('names', ['- *.o', '- a?b', '- a??', '- a\\b', '- a\\*', '- a\\b*', '- a[*]', '- a[]-]*', '- [!a]*']),
  ...rows('names', ['- [[:alpha:]]*', '- [[:nope:]]*', '- [a', '- a\\', '- ?', '- ??', '- *', '- a[[-^]b', '- a[\\]]']),
  // Blanks, separators, types, modifiers.
  ...rows('names', ['-  lead', '- trail ', '- trail', '-_a b', 'exclude a.o', 'hide,! keep*', '-,s a.o', '-!! *.o']),
  ...rows('names', ['-! */', '-s a.o', '-p a.o', '-x a.o', 'H a.o', '-C', '-C keep1', '-!C ', '- a.o/', '- CVS/']),
  // Slashes.
  ...rows('deep', ['- bar', '- /bar', '- foo/bar', '- /foo/bar', '- x/*/q', '- **/bar', '- **bar', '- foo/**/bar']),
  ...rows('deep', [
    '- foo/**',
    '- a/**/bar',
    '- dir/***',
    '- dir/**',
    '- dir/*',
    '- /dir/',
    '- sub/f',
    '- sub/',
    '- */f',
  ]),
  ...rows('deep', ['- /', '- //', '- foo//bar', '- ./foo', '- foo/bar/', '- /**', '- **', '- o**f', '-! **/f']),
  ...rows('deep', ['- /f', '- /sub', '- dir/f', '-/ dir/f', '-/ /dir/f', '-/ f', '-/ **/dir/f', '-/ **/f'], 'dir/'),
  ...rows('deep', ['- /dir', '- /dir/sub', '- dir/f', '-/ /dir/f', '- sub'], 'dir'),
  // Order and clearing.
  { tree: 'deep', records: ['+ /dir/', '+ f', '- *'] },
  { tree: 'deep', records: ['- bar', '!', '- q'] },
  { tree: 'deep', records: ['S q', '-s q', 'include bar', 'exclude *r'] },
  // Old syntax.
  ...[['*r'], ['+ bar', '*r'], ['- q', '!', '- f'], ['P f'], ['-_f'], ['+ - f', '?'], ['/dir'], ['- !']].map(
    (records): Question => ({ tree: 'deep', protocol: 28, records }),
  ),
  // The letter C.
  { tree: 'names', cvsLetter: true },
  { tree: 'names', cvsLetter: true, records: ['+ *.o'] },
  { tree: { ...TREES.names, '.cvsignore': 'keep* ! ab1' }, cvsLetter: true },
  // Merge files.
  ...[
    '- x\n',
    '- /x\n',
    '- /d/x\n- d/y\n',
    '+ y\n- ?\n',
    '!\n- y\n',
    '# - x\n\n; - y\n- z',
    '- y \n',
    '- x\r\n- y\r- z',
  ].map((content): Question => ({ tree: merging(content, { '.f': '- x\n' }), records: [': .f'] })),
  ...['P x\n-r y\n-s z\n', 'R x\n- ?', '-x y\n- z\n', '-C\n', '-/ /sub/d/x\n-/ y\n', '- /*/x\n', '-! /x\n'].map(
    (content): Question => ({ tree: merging(content), records: [': .f'] }),
  ),
  ...[':n .f', ':e .f', ':s .f', ':r .f', ':/ .f', ': sub/.f', ': .f/'].map(
    (record): Question => ({ tree: merging('- x\n- /d/y\n'), records: [record] }),
  ),
  ...[':- .f', ':w- .f', ':C .f'].map((record): Question => ({ tree: merging('x # y\n! z'), records: [record] })),
  { tree: merging('x\n- y\n'), records: [':+ .f', '- ?'] },
  { tree: merging('-_x\t-_y'), records: [':w .f'] },
  { tree: merging('- x\n'), path: 'sub/d/', records: [': .f'] },
  ...['sub/d/', 'sub/d'].flatMap((path) =>
    [': /.f', ':n /.f', ': /sub/.f', ': /other/.f', ': ../.f'].map(
      (record): Question => ({ tree: merging('- x\n- /d/y\n'), path, records: [record] }),
    ),
  ),
  { tree: merging('- x\n'), records: [':n .f', ': .f'] },
  { tree: merging('- x\n'), records: [':n .f', '!', ': .f'] },
  { tree: merging('+ x\n- y\n'), records: [': .f', '- x', '+ y'] },
  { tree: merging(': .g\n- z\n', { 'sub/.g': '- x', 'sub/d/.g': '- y' }), records: [': .f'] },
  { tree: merging(': .g\n- z\n', { 'sub/.g': '- x', 'sub/d/.g': '- y' }), records: [':n .f'] },
  { tree: merging(': .g\n!\n- y', { 'sub/.g': '- x' }), records: [': .f'] },
  { tree: merging('. .g\n', { '.g': '- /sub/x\n- y', 'sub/.g': '- z' }), records: [': .f'] },
  { tree: merging('. .g\n', { '.g': '- y', 'sub/.g': '- /d/x' }), path: 'sub/', records: [': .f'] },
  { tree: merging('- x', { g: '- /x\n. sub/h', 'sub/h': '- y' }), records: ['. g'] },
  { tree: merging('- x', { g: '- /x\n. sub/h', 'sub/h': '- y' }), path: 'sub/', records: ['. ../../g'] },
  { tree: merging('', { '.f': ': .h', '.h': '- x', 'sub/.h': '- y' }), path: 'sub/d/', records: [': /.f'] },
  // Refused rules.
  ...[
    '- ',
    '-',
    '-a.o',
    '-e x',
    '-- x',
    'Ps x',
    'H,r x',
    'HC ',
    '! x',
    'clear ',
    'x y',
    'excludes y',
    'exclude,a',
    ':',
  ].map((record): Question => ({ tree: 'deep', records: [record] })),
  ...[':! x', ':-+ x', ':C- x', '. nofile', '-C,', '+', 'EXCLUDE x', '-\tx'].map(
    (record): Question => ({ tree: 'deep', records: [record] }),
  ),
  { tree: 'deep', protocol: 28, records: ['- '] },
  { tree: merging('- y\nbogus\n'), records: [': .f'] },
  { tree: merging('-e y\n'), records: [': .f'] },
  { tree: merging('-s x\n'), records: [':s .f'] },
  { tree: merging('. .g\n'), records: [': .f'] },
  { tree: merging('- x -_y'), records: [':w .f'] },
  // The module's own rules.
  ...['sub/', '/dir/', 'dir/sub', 'f', '- f', '+ f', '!', 'dir/*', 'dir/**', '*/', '/', 'e/', 'H_f', 'foo//'].flatMap(
    (exclude) => ['', 'dir/sub/f', 'dir/'].map((path): Question => ({ tree: 'deep', path, module: { exclude } })),
  ),
  ...['-!_*/', 'P_f', '+_/dir/f', '-C', 'exclude,p_f', '-_dir/sub/'].map(
    (filter): Question => ({ tree: 'deep', module: { filter, exclude: '/dir/f' } }),
  ),
  { tree: 'deep', module: { include: 'f', exclude: '?' } },
  { tree: 'deep', module: { include: '/dir/', exclude: '*' } },
  { tree: merging('- x'), records: [': .f'], module: { exclude: '.f' } },
  { tree: merging('- x'), records: ['+ sub/x'], module: { exclude: 'x' } },
];

/** The daemon splits parameters at white space, so that a rule with a blank cannot be asked; ours are arrays. */
async function answer(daemon: FilterDaemon, question: Question): Promise<object> {
  daemon.plant(typeof question.tree === 'string' ? TREES[question.tree]! : question.tree);
  await daemon.start(Object.entries(question.module ?? {}).map(([key, rule]) => `${key} = ${rule}`));
  const bundle = question.cvsLetter ? '-rC' : '-r';
  const { path = '', protocol = 29, records = [] } = question;
  const { names, complaint } = await daemon.list({ path, protocol, records, bundle });
  const refusal = complaint?.includes('rule') || complaint?.includes('failed to open exclude') ? complaint : null;
  if (refusal === null || question.module) return { ...question, listed: names.sort() };
  return { ...question, refusal: refusal.replaceAll(`${daemon.root}/`, '').replace('rsync: [sender] ', '') };
}

const daemon = new FilterDaemon();
const cases: object[] = [];
try {
  for (const question of QUESTIONS) cases.push(await answer(daemon, question));
} finally {
  await daemon.dispose();
}
const version = execFileSync('rsync', ['--version'], { encoding: 'latin1' }).split('\n')[0];
const lines = cases.map((item) => `  ${JSON.stringify(item)}`).join(',\n');
const trees = JSON.stringify(TREES, null, 1).replaceAll('\n', '\n  ');
writeFileSync(
  join(import.meta.dirname, 'filter-cases.json'),
  `{\n "what": "names listed, or the logged refusal, for filter records sent to a daemon; text is latin1",\n` +
    ` "provenance": "make-filter-cases.ts against ${version}",\n "trees": ${trees},\n "cases": [\n${lines}\n ]\n}\n`,
);
console.log(`${cases.length} cases`);
