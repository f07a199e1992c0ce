/** Public rsync issues that travel in names and links: one test for each row of security.md A.1 that a daemon can suffer there. */

import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { type ModuleSpec, toToml } from '../helpers/module-spec.ts';
import type { RunResult } from '../helpers/run.ts';
import { snapshot } from '../helpers/snapshot.ts';
import { makeTree, type TreeEntry } from '../helpers/tree.ts';
import { hasRoot } from '../setup/clients.ts';
import { openStage, type Stage } from './support/stage.ts';
import { allDone, argumentList, data, enter, filterRecord, NO_MORE_FILTERS, pullArguments } from './support/wire.ts';

/** Stands in every file that no client may see. */
const CANARY = 'canary-3f9a';

const SECRETIVE: readonly TreeEntry[] = [
  { name: 'open', content: 'open\n' },
  { name: 'secret/f', content: CANARY },
  { name: 'secret/rules', content: `- ${CANARY}\n` },
  { name: 'dir/to-secret', symlink: '../secret/f' },
  { name: 'dir/plain', content: 'plain\n' },
];

const LINKED: readonly TreeEntry[] = [
  { name: 'file', content: 'inside\n' },
  { name: 'dir/inner', content: 'inner\n' },
  { name: 'absolute', symlink: '/etc' },
  { name: 'up', symlink: '../outside' },
  { name: 'dir/up-file', symlink: '../../outside/canary' },
  { name: 'within', symlink: 'dir/inner' },
  { name: 'dir-within', symlink: 'dir' },
  { name: 'sibling', symlink: '../pub' },
];

/** A path of exactly `bytes`, of directories with 200 bytes and a file. */
function longPath(bytes: number): string {
  const directories = Math.floor((bytes - 1) / 201);
  return [...Array<string>(directories).fill('d'.repeat(200)), 'f'.repeat(bytes - directories * 201)].join('/');
}

describe.skipIf(!hasRoot())('immunity against paths', { timeout: 30_000 }, () => {
  let stage: Stage;
  let pulls = 0;
  let destination: string;

  beforeAll(async () => {
    stage = await openStage({
      prepare: async (dir) => {
        for (const [name, tree] of [
          ['secretive', SECRETIVE],
          ['linked', LINKED],
          [
            'outer/inner',
            [
              { name: 'l', symlink: '../sibling' },
              { name: 'ok', content: 'ok' },
            ],
          ],
          ['long', []],
        ] as const) {
          mkdirSync(join(dir, name), { recursive: true });
          await makeTree(join(dir, name), tree);
        }
        mkdirSync(join(dir, 'outside'));
        writeFileSync(join(dir, 'outside/canary'), CANARY);
        mkdirSync(join(dir, 'outer/sibling'));
        writeFileSync(join(dir, 'outer/sibling/canary'), CANARY);
        symlinkSync('outside', join(dir, 'module-link'));
      },
      modules: (dir) => [
        { name: 'secretive', path: join(dir, 'secretive'), keys: { exclude: ['/secret/'] } },
        { name: 'linked', path: join(dir, 'linked') },
        { name: 'inner', path: `${join(dir, 'outer')}/./inner` },
        { name: 'long', path: join(dir, 'long') },
        { name: 'behind-link', path: join(dir, 'module-link') },
      ],
    });
  });
  afterAll(async () => {
    await stage.expectHonestPull();
    await stage.expectOneLinePerSession();
    await stage.close();
  });
  beforeEach(() => {
    destination = `got${pulls++}/`;
  });

  /** Pulls with a real client; `lazy` sources are sent as they stand. */
  const pull = (args: readonly string[], input?: string): Promise<RunResult> =>
    stage.rsync([...args, destination], input === undefined ? {} : { input: Buffer.from(input) });

  /** Names below the destination, and whether the canary is in any of their bytes. */
  function received(): { names: string[]; leaks: boolean } {
    const root = join(stage.dir, destination);
    if (!existsSync(root)) return { names: [], leaks: false };
    const nodes = [...snapshot(root, { startedMs: 0 })].filter(([name]) => name !== '.');
    const names = nodes.map(([name]) => name).sort();
    // Links stay unread: they may well lead outside, on the client's side.
    const files = nodes.filter(([, node]) => node.type === 'file').map(([name]) => join(root, name));
    const contents = files.map((path) => readFileSync(path, 'latin1'));
    return { names, leaks: contents.some((content) => content.includes(CANARY)) };
  }

  /** What a scripted client is sent for one path argument. */
  async function answerTo(module: string, options: readonly string[], path: string, filters: readonly string[] = []) {
    const rules = data(31, ...filters.map((rule) => filterRecord(rule)), NO_MORE_FILTERS);
    const send = Buffer.concat([enter(module), pullArguments(options, 31, [path]), rules, data(31, allDone())]);
    return stage.play({ send, ends: true });
  }

  it.each([
    'linked/../outside/canary',
    'linked//../outside/canary',
    '../outside/canary',
    '/outside/canary',
    'linked/./../outside/canary',
    'linked/dir/../../outside/canary',
    'linked/%2e%2e/outside/canary',
    '/etc/passwd',
    '..',
    'linked/..',
  ])('CVE-2004-0426: the path "%s" leads nowhere outside', async (path) => {
    for (const options of [[], ['-R'], ['-L'], ['-R', '-L']]) {
      const { answer, line } = await answerTo('linked', options, path);
      expect(['ok', 'peer-gone']).toContain(line.outcome);
      for (const leak of [CANARY, 'canary\0', 'passwd', 'outside/']) expect(answer.data.includes(leak)).toBe(false);
    }
  });

  it('CVE-2004-0792: names of --files-from and of secluded arguments lead nowhere outside either', async () => {
    const names = '../outside/canary\n/etc/passwd\ndir/../../outside/canary\n./../outside/canary\nfile\n';
    await pull(['-r', '--files-from=-', 'URL/linked/'], names);
    expect(received()).toEqual({ names: ['file'], leaks: false });
    const lists = [
      argumentList(['--server', '--sender', '-rse.Lsf']),
      argumentList(['rsync', '.', 'linked/../../outside/canary']),
    ];
    const { answer } = await stage.play({
      send: Buffer.concat([enter('linked'), ...lists, data(31, NO_MORE_FILTERS)]),
      ends: true,
    });
    expect(answer.messages).toMatch(/change_dir "\/outside" \(in linked\) failed: No such file or directory/);
  });

  it('CVE-2007-4091: paths up to 4095 bytes are listed and longer ones skipped with one message each', async () => {
    const root = join(stage.dir, 'long');
    for (const length of [4094, 4095, 4096, 4350]) makeDeep(root, longPath(length));
    const { answer, line } = await answerTo('long', [], 'long/');
    expect(line).toMatchObject({ outcome: 'ok', exit: 23 });
    // The file of 4096 bytes, and the first directory that is too long itself.
    expect(answer.messages.match(/overflows max-path len by \d+: /g)).toHaveLength(2);
  });

  it('CVE-2007-6199: links out of the module are never followed', async () => {
    for (const options of [['-rl'], ['-rL'], ['-rlk'], ['-rl', '--copy-unsafe-links'], ['-rR'], ['-rLR']]) {
      destination = `got${pulls++}/`;
      await pull([...options, 'URL/linked/']);
      const { names, leaks } = received();
      expect(names).toContain('file');
      expect(leaks).toBe(false);
      expect(names.filter((name) => /passwd|canary/.test(name))).toEqual([]);
    }
  });

  it('CVE-2007-6199: a link out of the module cannot be named as a source either', async () => {
    for (const source of ['up/', 'up/canary', 'absolute/passwd', 'dir/up-file', 'sibling/file']) {
      for (const options of [[], ['-L'], ['-k'], ['--copy-unsafe-links']]) {
        const { answer } = await answerTo('linked', options, `linked/${source}`);
        expect(answer.data.includes(CANARY)).toBe(false);
        expect(answer.data.includes('passwd')).toBe(false);
      }
    }
  });

  it.each([
    ['an argument', ['-r', 'URL/secretive/secret/f']],
    ['a directory', ['-r', 'URL/secretive/secret']],
    ['a trailing slash', ['-r', 'URL/secretive/secret/']],
    ['a wildcard', ['-r', 'URL/secretive/s*/*']],
    ['a wildcard for everything', ['-r', 'URL/secretive/*/f']],
    ['-R', ['-rR', 'URL/secretive/./secret/f']],
    ['a link', ['-rL', 'URL/secretive/dir/to-secret']],
    ['an include rule', ['-r', '--include=/secret/***', 'URL/secretive/']],
    ['a missing argument that counts as deleted', ['-r', '--delete-missing-args', 'URL/secretive/secret/f']],
  ])('CVE-2007-6200: what the module excludes cannot be had by %s', async (_title, args) => {
    await pull(args);
    const { names, leaks } = received();
    expect(names.filter((name) => name.includes('secret') && !name.includes('to-secret'))).toEqual([]);
    expect(leaks).toBe(false);
  });

  it('CVE-2007-6200: what the module excludes cannot be had by --files-from', async () => {
    await pull(['-r', '--files-from=-', 'URL/secretive/'], 'secret/f\nsecret\ndir/plain\n');
    expect(received()).toEqual({ names: ['dir', 'dir/plain'], leaks: false });
    const { answer, line } = await answerTo('secretive', ['--files-from', 'secret/f'], 'secretive/');
    expect(line).toMatchObject({ outcome: 'usage', exit: 4 });
    expect(answer.messages).not.toContain(CANARY);
  });

  it('Filter list is name-based: a link to an excluded file is not followed with -L', async () => {
    const result = await pull(['-rL', 'URL/secretive/']);
    expect(result.exitCode).toBe(23);
    expect(received()).toEqual({ names: ['dir', 'dir/plain', 'open'], leaks: false });
  });

  it('CVE-2022-29154: a real client that checks every name accepts what we send for its arguments', async () => {
    const asks = [
      ['-r', 'URL/linked'],
      ['-r', 'URL/linked/'],
      ['-rR', 'URL/linked/dir/inner'],
      ['-r', 'URL/linked/d*'],
      ['-r', 'URL/linked/*/inner'],
      ['-r', '--exclude=*.x', 'URL/linked/dir', 'URL/linked/file'],
    ];
    for (const args of asks) {
      destination = `got${pulls++}/`;
      const result = await pull(args);
      expect(result.stderr.toString()).not.toMatch(/rejecting/);
      expect(received().names.length).toBeGreaterThan(0);
    }
  });

  it('CVE-2026-53793: a module path with /./ is confined to the inner directory', async () => {
    for (const options of ['-rl', '-rL', '-rlk']) {
      destination = `got${pulls++}/`;
      await pull([options, 'URL/inner/']);
      const { names, leaks } = received();
      expect(names).toContain('ok');
      expect(names.filter((name) => name.includes('canary'))).toEqual([]);
      expect(leaks).toBe(false);
    }
    expect((await answerTo('inner', ['-L'], 'inner/../sibling/canary')).answer.data.includes(CANARY)).toBe(false);
  });

  it('CVE-2026-53797: a directory link to the outside gives an error line and exit code 23 with -L', async () => {
    const result = await pull(['-rL', 'URL/linked/']);
    expect(result.exitCode).toBe(23);
    expect(result.stderr.toString()).toMatch(/symlink has no referent: "\/?up" \(in linked\)/);
    expect(received().names).toContain('dir-within/inner');
    expect(received().names).not.toContain('up');
  });

  it('CVE-2026-53784: a module root behind a link of root is served, as root aimed it', async () => {
    await pull(['-r', 'URL/behind-link/']);
    expect(received().names).toEqual(['canary']);
  });

  it.each([
    ['an exclude file', ['--exclude-from=/etc/passwd'], [], 4],
    ['an include file', ['--include-from=../outside/canary'], [], 4],
    ['a list of names', ['--files-from', '/etc/passwd'], [], 4],
    ['a merge rule', [], ['. /etc/passwd'], 11],
    ['a merge rule that climbs', [], ['. ../outside/canary'], 11],
    ['a merge rule through a link', [], ['. dir/up-file'], 11],
  ] as const)(
    'CVE-2026-53802: a client cannot name a file of the host as %s',
    async (_title, options, filters, exit) => {
      const { answer, line } = await answerTo('linked', options, 'linked/', filters);
      expect(line).toMatchObject({ exit });
      expect(answer.data).toHaveLength(0);
      expect(answer.messages).not.toMatch(/root|canary-/);
    },
  );

  it.each([': ../canary', ': /../outside/canary', ': dir/../../outside/canary', ':C'])(
    'CVE-2026-53802: the per-directory rule "%s" reads nothing outside',
    async (rule) => {
      const { answer, line } = await answerTo('linked', [], 'linked/', [rule]);
      expect(line.outcome).toBe('ok');
      expect(answer.messages).not.toContain(CANARY);
    },
  );

  it('CVE-2026-53786: a merge rule cannot read a file that the module hides', async () => {
    const { answer, line } = await answerTo('secretive', [], 'secretive/', ['. secret/rules']);
    expect(line).toMatchObject({ exit: 11 });
    expect(answer.messages).not.toContain(CANARY);
    const quiet = await answerTo('secretive', [], 'secretive/', [': secret/rules', ': /secret/rules']);
    expect(quiet.line).toMatchObject({ outcome: 'ok' });
    expect(quiet.answer.messages).toBe('');
  });

  it('3.5.0 text: a merge file that does not parse is named, and never quoted', async () => {
    const { answer, line } = await answerTo('linked', [], 'linked/', ['. file']);
    expect(line).toMatchObject({ outcome: 'filter-rule', exit: 1 });
    expect(answer.messages).toMatch(/<rule from file line 1>/);
    expect(answer.messages).not.toContain('inside');
  });

  it('3.4.2 hygiene: a merge file named with dots is looked up inside the module', async () => {
    const { line, answer } = await answerTo('linked', [], 'linked/', ['. a/../t']);
    expect(line).toMatchObject({ exit: 11 });
    expect(answer.messages).toMatch(/No such file or directory/);
  });

  it('3.5.0 fuzz batch: a merge file that merges itself ends the session, and nothing else', async () => {
    writeFileSync(join(stage.dir, 'linked/loop'), '. loop\n');
    const { line } = await answerTo('linked', [], 'linked/', ['. loop']);
    expect(line).toMatchObject({ outcome: 'limit:mergeDepth' });
  });

  /** What a start with these keys of a module is refused with. */
  function refusal(keys: ModuleSpec['keys'] & object): string {
    const text = toToml([{ name: 'pub', path: join(stage.dir, 'pub'), keys }]);
    const flags = {
      file: null,
      listen: null,
      anonSshListen: null,
      monitoringListen: null,
      port: null,
      address: null,
      modules: [],
    };
    try {
      loadConfig(text, 'rsyncd.toml', flags, { credentialsDirectory: null, uid: 0 });
      return 'nothing';
    } catch (error) {
      return (error as Error).message;
    }
  }

  it('CVE-2026-43617: an access list with a host name is refused at the start, with its line', () => {
    expect(refusal({ hosts_deny: ['*.bad.example'] })).toMatch(
      /^rsyncd\.toml:\d+: module\[0\]\.hosts_deny\[0\]: .*bad\.example/,
    );
  });

  it('CVE-2026-70452: an access list with a name that could be resolved is refused as well', () => {
    expect(refusal({ hosts_deny: ['localhost'] })).toMatch(/hosts_deny\[0\]/);
  });

  it.each(['alice,bob:deny', 'alice bob', '@staff'])('CVE-2026-70463: "%s" as a user name is refused', (user) => {
    expect(refusal({ auth_users: [user], secrets_file: '/dev/null' })).toMatch(/auth_users\[0\]/);
  });

  /** Makes directories one by one relative to each other, because the whole path is too long for the kernel. */
  function makeDeep(root: string, path: string): void {
    const components = path.split('/');
    const home = process.cwd();
    try {
      process.chdir(root);
      for (const component of components.slice(0, -1)) {
        mkdirSync(component, { recursive: true });
        process.chdir(component);
      }
      writeFileSync(components.at(-1)!, '');
    } finally {
      process.chdir(home);
    }
  }
});
