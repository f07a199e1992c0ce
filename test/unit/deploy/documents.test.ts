/** What the documents refer to is there: files, tests, sections, npm scripts; and the example of a migration still comes out as shown. */

import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { convertConfig, EXIT_REFUSED } from '../../../src/cli/convert.ts';
import { FILE, memoryFiles } from '../config/rsyncd-fixture.ts';

const PROJECT = join(import.meta.dirname, '../../..');
const DOCUMENTS = ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', ...globSync('deploy/*/README.md', { cwd: PROJECT })];

const read = (path: string): string => readFileSync(join(PROJECT, path), 'utf8');

/** As the usual viewers make anchors of headings. */
const anchors = (text: string): string[] =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );

/** Files that a document names in backquotes: `test/…`, `deploy/…`, `src/…`, and a test by its base name alone. */
function namedFiles(text: string): string[] {
  const named = [...text.matchAll(/`([\w./-]+)`/g)].map(([, name]) => name!);
  return named.filter((name) => /^(test|deploy|src)\/./.test(name) || name.endsWith('.test.ts'));
}

describe.each(DOCUMENTS)('%s', (document) => {
  const text = read(document);
  const tests = globSync('test/**/*.test.ts', { cwd: PROJECT });

  it('names files and tests that exist', () => {
    const isThere = (name: string) =>
      existsSync(join(PROJECT, name)) || tests.some((path) => path.endsWith(`/${name}`));
    expect(namedFiles(text).filter((name) => !isThere(name))).toEqual([]);
  });

  it('has links that lead somewhere', () => {
    const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target]) => target!)
      .filter((one) => !/^https?:/.test(one));
    const leads = (target: string): boolean => {
      const [path, anchor] = target.split('#') as [string, string?];
      const file = path === '' ? document : join(dirname(document), path);
      return existsSync(join(PROJECT, file)) && (anchor === undefined || anchors(read(file)).includes(anchor));
    };
    expect(targets.filter((target) => !leads(target))).toEqual([]);
  });

  it('names scripts of package.json', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = [...text.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name!);
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
  });
});

describe('deploy/migration', () => {
  it('shows the verdicts that the program gives', () => {
    const files = memoryFiles({ [FILE]: read('deploy/migration/rsyncd.conf') });
    const { verdicts, exit } = convertConfig(FILE, { credentialsDirectory: null, uid: 0 }, files);
    expect(exit).toBe(EXIT_REFUSED);
    const shown = read('deploy/migration/README.md').match(/^\/etc\/rsyncd\.conf:\d+: .*$/gm)!;
    expect(shown.length).toBeGreaterThanOrEqual(10);
    // --check names the refused lines, without the letter.
    const known = verdicts.split('\n').flatMap((line) => [line, line.replace(/: R /, ': ')]);
    expect(shown.filter((line) => !known.includes(line))).toEqual([]);
  });
});
