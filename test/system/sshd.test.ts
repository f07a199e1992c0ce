/** The modes behind a real sshd: as the remote rsync, as a daemon, as a forced command. */

import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareSnapshots } from '../helpers/compare-snapshots.ts';
import { oddTree } from '../helpers/odd-tree.ts';
import { rsync } from '../helpers/rsync.ts';
import { mustRun, type RunResult, run } from '../helpers/run.ts';
import { filterTree } from '../helpers/small-trees.ts';
import { type Snapshot, snapshot } from '../helpers/snapshot.ts';
import { staleTree } from '../helpers/stale-tree.ts';
import { makeTree, type TreeEntry } from '../helpers/tree.ts';
import { missing } from '../setup/clients.ts';
import { haveSshd, type Login, NODE, type Sshd, startSshd, writeProgram } from './sshd-server.ts';

const runnable = haveSshd();

/** The user's home, and what a restricted key serves. */
const HOME: readonly TreeEntry[] = [
  { name: 'data/a.c', content: 'a' },
  { name: 'data/b.c', content: 'b' },
  { name: 'data/.hidden.c', content: 'h' },
  { name: 'data/deep/er/file', content: 'deep' },
  { name: 'sp ace/x y', content: 'blank' },
  { name: 'st*r', content: 'star' },
  { name: 'stair', content: 'stair' },
  { name: '-dash', content: 'dash' },
  { name: 'q\'uo"te$(x)`;&', content: 'quotes' },
  { name: 'caf\xe9', content: 'not UTF-8' },
  { name: 'up', symlink: '../outside' },
  { name: 'absolute', symlink: '/etc/hostname' },
  { name: 'todir', symlink: 'data/deep' },
  { name: 'names', content: 'data/a.c\n# comment\nsp ace/\nmissing\n' },
];

let sshd: Sshd;
let pulls = 0;
beforeAll(async () => {
  if (!runnable) return;
  sshd = await startSshd();
  for (const [name, entries] of Object.entries({ tree: oddTree(), filter: filterTree(), home: HOME })) {
    mkdirSync(join(sshd.dir, name), { recursive: true });
    await makeTree(join(sshd.dir, name), entries);
  }
  writeFileSync(join(sshd.dir, 'outside'), 'outside');
  mkdirSync(join(sshd.dir, 'stale'));
  await makeTree(join(sshd.dir, 'stale'), staleTree(oddTree()));
  chownSync(sshd.home, sshd.uid, sshd.uid);
});
afterAll(async () => {
  if (runnable) await sshd.close();
});

interface Pull {
  readonly args: readonly string[];
  /** Behind `HOST:`, as a user would type them. */
  readonly sources: readonly string[];
  readonly login?: Login;
  /** A directory in `sshd.dir` to copy as the destination. */
  readonly template?: string;
  readonly input?: string;
}

interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
  readonly tree: Snapshot;
}

/** What C rsync's server says when it gives up; our texts travel to the client and end there. */
const OWN_END = /^rsync error: |connection unexpectedly closed|write error: Broken pipe|^$/;

async function pull(program: string, { args, sources, login, template, input }: Pull): Promise<Outcome> {
  const startedMs = Date.now() - 1000;
  const dir = join(sshd.dir, `pull${pulls++}`);
  mkdirSync(dir);
  if (template === undefined) mkdirSync(join(dir, 'dst'));
  else await mustRun('cp', ['-a', join(sshd.dir, template), join(dir, 'dst')]);
  const remote = ['-e', sshd.ssh(login).join(' '), `--rsync-path=${program}`];
  const urls = sources.map((source) => `127.0.0.1:${source.replaceAll('DIR', sshd.dir)}`);
  const options = { cwd: dir, input: Buffer.from(input ?? '') };
  const result = await rsync([...remote, '-ii', ...args, ...urls, 'dst/'], options);
  return { ...linesOf(result), exitCode: result.exitCode, tree: snapshot(join(dir, 'dst'), { startedMs }) };
}

function linesOf({ stdout, stderr }: RunResult): Pick<Outcome, 'stdout' | 'stderr'> {
  const lines = (output: Buffer) => output.toString('latin1').split('\n').sort();
  return { stdout: lines(stdout), stderr: lines(stderr).filter((line) => !OWN_END.test(line)) };
}

/** Pulls with C rsync at the other end, then with us, and expects no difference. */
async function expectSame(asked: Pull, exitCode = 0): Promise<void> {
  const expected = await pull('rsync', asked);
  const actual = await pull(sshd.program, asked);
  expect({ ...actual, tree: null }).toEqual({ ...expected, tree: null });
  expect(compareSnapshots(expected.tree, actual.tree)).toEqual([]);
  expect(actual.exitCode).toBe(exitCode);
}

/** Runs a command at the other end. */
function remotely(command: string, login: Login = {}): Promise<RunResult> {
  const [ssh, ...args] = sshd.ssh(login);
  return run(ssh!, [...args, '127.0.0.1', command]);
}

const asUser = (): Login => ({ user: sshd.user });

describe.runIf(runnable)('in place of the remote rsync', () => {
  it.each([
    [['-a']],
    [['-aH']],
    [['-aH', '--numeric-ids']],
    [['-aHz']],
    [['-az', '--zc=zstd']],
    [['-aR']],
    [['-as']],
    [['-ac']],
    [['-an']],
    [['-rLD']],
    [['-aAX']],
    [['-a', '--no-i-r']],
    [['-a', '--old-args']],
    [['-a', '--checksum-choice=md5', '--timeout=60', '--bwlimit=10000']],
  ])('sends what C rsync sends, with %j', async (args) => {
    const { exitCode } = await pull('rsync', { args, sources: ['DIR/tree/'] });
    await expectSame({ args, sources: ['DIR/tree/'] }, exitCode ?? -1);
  });

  it.each([27, 28, 29, 30, 31, 32])('speaks protocol %i', async (protocol) => {
    const args = ['-aH', `--protocol=${protocol}`];
    await expectSame({ args, sources: ['DIR/tree/'] });
    await expectSame({ args: [...args, '-s'], sources: ['DIR/home/sp ace/'] });
  });

  it('updates a stale copy and deletes what is gone', async () => {
    await expectSame({ args: ['-a', '--delete'], sources: ['DIR/tree/'], template: 'stale' });
  });

  // One source each: C rsync carries rules of merge files over from one source to the next.
  it.each([
    [['-aF'], ['DIR/filter/']],
    [['-aFF', '--exclude=core'], ['DIR/filter/src']],
    [['-aC'], ['DIR/filter/']],
  ])('reads merge files as %j asks', async (args, sources) => {
    await expectSame({ args, sources });
  });

  it.each([
    [['.']],
    [['']],
    [['data']],
    [['data/']],
    [['data/', 'stair']],
    [['data/*.c']],
    [['data/.*.c', '*r']],
    [['sp ace/x y']],
    [['st\\*r']],
    [['~/data']],
    [['-dash']],
    [['q\'uo"te$(x)`;&']],
    [['data/../stair']],
    [['todir/../a.c']],
    [['./data/deep/.././a.c']],
    [['todir/']],
  ])('takes %j from the home directory', async (sources) => {
    await expectSame({ args: ['-r'], sources, login: asUser() });
  });

  it.each([
    [['data/deep/er']],
    [['data/./deep/er', 'stair']],
    [['./data/a.c', './stair']],
    [['DIR/home/./data/deep']],
    [['DIR/home/data/deep']],
    [['todir/er']],
    [['data/../data/./deep']],
  ])('names %j with -R as C rsync does', async (sources) => {
    await expectSame({ args: ['-rR'], sources, login: asUser() });
    await expectSame({ args: ['-rR', '--no-i-r', '--no-implied-dirs'], sources, login: asUser() });
  });

  it.each([
    [['data/*', 'sp ace', '*.nothing'], 23],
    [['[!-]*'], 0],
    [['[s]t*', '-dash'], 0],
  ])('expands %j itself when no shell has seen it (-s)', async (sources, exitCode) => {
    await expectSame({ args: ['-rs'], sources, login: asUser() }, exitCode);
  });

  it('takes no name that a wildcard matched for an option (-s), other than C rsync', async () => {
    const { exitCode, tree } = await pull(sshd.program, { args: ['-rs'], sources: ['*'], login: asUser() });
    expect([exitCode, tree.get('-dash')?.size]).toEqual([0, 4n]);
  });

  it('follows absolute links, and those that lead out of what was asked for', async () => {
    await expectSame({ args: ['-rL'], sources: ['./'], login: asUser() });
    await expectSame({ args: ['-r', '--copy-unsafe-links'], sources: ['./'], login: asUser() });
  });

  it.each([
    [['missing', 'stair']],
    [['data/missing', 'stair']],
    [['nowhere/at/all', 'stair']],
    [['data/../missing', 'stair']],
    [['/nowhere', '/nowhere/else', 'stair']],
    [['stair/', 'stair']],
  ])('says what C rsync says of %j and ends with 23', async (sources) => {
    await expectSame({ args: ['-r'], sources, login: asUser() }, 23);
  });

  it('ends with 23 for what the user may not read', async () => {
    mkdirSync(join(sshd.dir, 'locked/in'), { recursive: true });
    for (const name of ['locked/file', 'locked/open', 'locked/in/file']) writeFileSync(join(sshd.dir, name), 'x');
    chmodSync(join(sshd.dir, 'locked/file'), 0);
    chmodSync(join(sshd.dir, 'locked/in'), 0o700);
    // Not of now, which the comparison takes for the time of the pull.
    for (const name of ['locked/file', 'locked/open', 'locked/in', 'locked'])
      utimesSync(join(sshd.dir, name), 1e9, 1e9);
    await expectSame({ args: ['-a'], sources: ['DIR/locked'], login: asUser() }, 23);
  });

  it.each([['--files-from=-'], ['--files-from=:names'], ['--files-from=:DIR/home/names']])(
    'takes names with %s',
    async (from) => {
      const args = ['-r', from.replace('DIR', sshd.dir)];
      await expectSame({ args, sources: ['./'], login: asUser(), input: 'data/a.c\nsp ace\nmissing\n' }, 23);
    },
  );

  it('refuses --remove-source-files with its reason and status 1', async () => {
    const { exitCode, stderr } = await pull(sshd.program, {
      args: ['-a', '--remove-source-files'],
      sources: ['DIR/home/'],
    });
    expect([exitCode, stderr]).toEqual([1, ['ERROR: --remove-source-files cannot be used with a read-only module']]);
    expect(existsSync(join(sshd.dir, 'home/stair'))).toBe(true);
  });

  it('refuses an upload with its reason, and writes nothing', async () => {
    const remote = ['-e', sshd.ssh().join(' '), `--rsync-path=${sshd.program}`];
    const { exitCode, stderr } = await rsync([...remote, '-a', `${sshd.dir}/outside`, `127.0.0.1:${sshd.dir}/new`]);
    expect(exitCode).not.toBe(0);
    expect(stderr.toString()).toContain('gokr-rsyncd: read-only: uploads are refused');
    expect(existsSync(join(sshd.dir, 'new'))).toBe(false);
  });

  it('writes nothing but protocol to standard output, and its end is the end of the command', async () => {
    const { stdout, stderr, exitCode } = await remotely(`${sshd.program} --server --sender -r . .`);
    expect(stdout.toString('hex')).toBe('20000000');
    expect(stderr.toString()).toContain('connection closed');
    expect(exitCode).not.toBe(0);
  });
});

describe.runIf(runnable)('as a daemon over a remote shell', () => {
  const config = (path: string, more = '') => {
    mkdirSync(join(sshd.home, '.config'), { recursive: true });
    const module = `[[module]]\nname = "mod"\ncomment = "of the user"\npath = "${path}"\n${more}`;
    writeFileSync(join(sshd.home, '.config/gokr-rsyncd.toml'), module);
  };
  const askOf = (program: string, ...args: string[]) =>
    rsync(['-e', sshd.ssh(asUser()).join(' '), `--rsync-path=${program}`, ...args], { cwd: sshd.dir });
  const ask = (...args: string[]) => askOf(sshd.program, ...args);

  it('serves the modules of the user, one session each', async () => {
    config(join(sshd.dir, 'filter'));
    const listing = await ask('rsync://127.0.0.1/');
    expect([listing.exitCode, listing.stdout.toString(), listing.stderr.toString()]).toEqual([
      0,
      'mod            \tof the user\n',
      '',
    ]);
    const { exitCode, stderr } = await ask('-r', '127.0.0.1::mod/src/', 'from-daemon');
    await mustRun('diff', ['-r', join(sshd.dir, 'filter/src'), join(sshd.dir, 'from-daemon')], { cwd: sshd.dir });
    expect([exitCode, stderr.toString()]).toEqual([0, '']);
  }, 60_000);

  it('ends with the status of the transfer', async () => {
    config(join(sshd.dir, 'filter'));
    const { exitCode, stderr } = await ask('-r', 'rsync://127.0.0.1/mod/missing', 'nothing');
    expect(stderr.toString()).toContain('link_stat "/missing" (in mod) failed');
    expect(exitCode).toBe(23);
    expect((await ask('rsync://127.0.0.1/other/')).exitCode).toBe(5);
  });

  it('asks access lists for the address that sshd saw', async () => {
    config(join(sshd.dir, 'filter'), 'hosts_deny = ["127.0.0.1/32"]\n');
    const { stderr } = await ask('rsync://127.0.0.1/mod/');
    expect(stderr.toString()).toContain('@ERROR: access denied to mod');
  });

  it('refuses to serve what the user could write to when nothing locks it in, with the reason', async () => {
    const own = join(sshd.home, 'own');
    mkdirSync(own, { recursive: true });
    chownSync(own, sshd.uid, sshd.uid);
    config(own);
    const unlocked = writeProgram(sshd.dir, 'gokr-rsyncd-unlocked', `${NODE} --no-experimental-ffi`);
    const { exitCode, stderr } = await askOf(unlocked, 'rsync://127.0.0.1/mod/');
    expect(stderr.toString()).toMatch(/module "mod": .*own is writable: this process owns it/);
    expect(exitCode).not.toBe(0);
  });

  it('is all that a key with it as its command gets, whatever the client asks for', async () => {
    config(join(sshd.dir, 'filter'));
    sshd.authorize(`command="${sshd.program} --server --daemon .",restrict`);
    const login = { ...asUser(), restricted: true };
    const args = [
      '-e',
      sshd.ssh(login).join(' '),
      '--rsync-path=anything',
      '-r',
      'rsync://127.0.0.1/mod/build/',
      'forced',
    ];
    expect((await rsync(args, { cwd: sshd.dir })).exitCode).toBe(0);
    expect(existsSync(join(sshd.dir, 'forced/Makefile'))).toBe(true);
    const { stdout } = await remotely('cat /etc/passwd', login);
    expect(stdout.toString()).toMatch(/^@RSYNCD: 32\.0 [^\n]*\n$/);
  });
});

describe.runIf(runnable)('as a forced command', () => {
  const login = (): Login => ({ ...asUser(), restricted: true });
  const restrictTo = (directory: string, program = sshd.program) =>
    sshd.authorize(`command="${program} --restrict ${directory}",restrict`);
  /** What a pull below the restricted directory gives, next to what C rsync gives from there without any restriction. */
  const expectBelow = async (args: readonly string[], sources: readonly string[], plain: readonly string[]) => {
    restrictTo(join(sshd.dir, 'home'));
    const expected = await pull('rsync', { args, sources: plain, login: asUser() });
    const actual = await pull('rsync', { args, sources, login: login() });
    expect({ exitCode: actual.exitCode, stdout: actual.stdout }).toEqual({
      exitCode: expected.exitCode,
      stdout: expected.stdout,
    });
    expect(compareSnapshots(expected.tree, actual.tree)).toEqual([]);
  };

  it.each([
    [[''], ['DIR/home/']],
    [['/'], ['DIR/home/']],
    [['~/'], ['DIR/home/']],
    [['/data'], ['DIR/home/data']],
    [['data/deep/'], ['DIR/home/data/deep/']],
    [['../../data/'], ['DIR/home/data/']],
    [
      ['data/*.c', 'sp ace'],
      ['DIR/home/data/*.c', 'DIR/home/sp ace'],
    ],
    [['*'], ['DIR/home/*']],
    [['st\\*r'], ['DIR/home/st\\*r']],
    [['q\'uo"te$(x)`;&'], ['DIR/home/q\'uo"te$(x)`;&']],
    [
      ['missing', 'stair'],
      ['DIR/home/missing', 'DIR/home/stair'],
    ],
  ])('serves %j from its directory', async (sources, plain) => {
    await expectBelow(['-r'], sources, plain);
  });

  it('serves paths that come behind the command (-s)', async () => {
    await expectBelow(['-rs'], ['sp ace', '[s]t*'], ['DIR/home/sp ace', 'DIR/home/[s]t*']);
  });

  it('follows no link out of its directory, and shows nothing of what is there', async () => {
    restrictTo(join(sshd.dir, 'home'));
    const { exitCode, tree, stderr } = await pull('rsync', { args: ['-rL'], sources: ['/'], login: login() });
    expect(exitCode).toBe(23);
    expect([tree.has('up'), tree.has('absolute'), tree.has('todir/er/file')]).toEqual([false, false, true]);
    expect(stderr.join('\n')).not.toContain(sshd.dir);
  });

  it.each(['../outside', '/etc/passwd', 'up', 'data/../../outside'])('knows no %s', async (source) => {
    restrictTo(join(sshd.dir, 'home'));
    const { exitCode } = await pull('rsync', { args: ['-rL'], sources: [source], login: login() });
    expect(exitCode).toBe(23);
  });

  it('refuses an upload', async () => {
    restrictTo(join(sshd.dir, 'home'));
    const args = ['-e', sshd.ssh(login()).join(' '), '-a', `${sshd.dir}/outside`, '127.0.0.1:new'];
    const { stderr } = await rsync(args);
    expect(stderr.toString()).toContain('gokr-rsyncd: this key may only pull: uploads are refused');
    expect(existsSync(join(sshd.dir, 'home/new'))).toBe(false);
  });

  it.each([
    ['rsync --server --sender -r . /; touch INJECTED', 'only a shell understands'],
    ['rsync --server --sender -r . / && touch INJECTED', 'only a shell understands'],
    ['rsync --server --sender -r . / | tee INJECTED', 'only a shell understands'],
    ['rsync --server --sender -r . / > INJECTED', 'only a shell understands'],
    ['rsync --server --sender -r . $(touch INJECTED)', 'only a shell understands'],
    ['rsync --server --sender -r . "$(touch INJECTED)"', 'only a shell understands'],
    ['rsync --server --sender -r . `touch INJECTED`', 'only a shell understands'],
    ['rsync --server --sender -r . /\ntouch INJECTED', 'only a shell understands'],
    ["rsync --server --sender -r . '/", 'an open quote'],
    ['rsync --server --sender -r . /\\', 'a backslash at the end'],
    ['rsync --server --daemon .', 'has no modules'],
    ['rsync --server -r . --sender', 'uploads are refused'],
    ['rsync --server -logDtpre.iLsfxCIvu --sender . /', 'uploads are refused'],
    ['rsync -a /etc INJECTED', 'only serves the rsync of a remote client'],
    ['touch INJECTED', 'only serves rsync'],
    ['/bin/sh', 'only serves rsync'],
    ['scp -f /etc/passwd', 'only serves rsync'],
    ['sudo rsync --server --sender -r . /', 'only serves rsync'],
  ])('refuses %j with a reason and status 1', async (command, reason) => {
    restrictTo(join(sshd.dir, 'home'));
    const target = join(sshd.home, 'INJECTED');
    const { exitCode, stdout, stderr } = await remotely(command.replaceAll('INJECTED', target), login());
    expect([exitCode, stdout.length]).toEqual([1, 0]);
    expect(stderr.toString()).toContain(reason);
    expect(existsSync(target)).toBe(false);
  });

  it('has no shell', async () => {
    restrictTo(join(sshd.dir, 'home'));
    const [ssh, ...args] = sshd.ssh(login());
    const { exitCode, stderr } = await run(ssh!, [...args, '-T', '127.0.0.1']);
    expect([exitCode, stderr.toString()]).toEqual([1, 'gokr-rsyncd: this key only serves rsync; there is no shell\n']);
  });

  it('does not tell where its directory was when it cannot be opened', async () => {
    restrictTo(join(sshd.dir, 'gone'));
    const { exitCode, stderr } = await remotely('rsync --server --sender -r . /', login());
    expect([exitCode, stderr.toString()]).toEqual([1, 'gokr-rsyncd: the directory of this key cannot be opened\n']);
  });

  it('serves the exact line of an old client', async () => {
    restrictTo(join(sshd.dir, 'home'));
    const shell = join(sshd.dir, 'old-client');
    const command = 'rsync --server --sender -vlogDtprxz --numeric-ids . /';
    writeFileSync(shell, `#!/bin/sh\nexec ${sshd.ssh(login()).join(' ')} 127.0.0.1 '${command}'\n`, { mode: 0o755 });
    const args = ['-e', shell, '--protocol=29', '-vlogDtprxz', '--numeric-ids', '127.0.0.1:/', 'old/'];
    const { exitCode } = await rsync(args, { cwd: sshd.dir });
    expect(exitCode).toBe(0);
    const options = ['-vlogDtprxz', '--numeric-ids', '--protocol=29'];
    const { tree } = await pull('rsync', { args: options, sources: ['DIR/home/'] });
    expect(compareSnapshots(tree, snapshot(join(sshd.dir, 'old'), { startedMs: Date.now() }))).toEqual([]);
  });

  it('serves root behind PermitRootLogin forced-commands-only', async () => {
    const strict = await startSshd(['PermitRootLogin forced-commands-only']);
    try {
      strict.authorize(`command="${strict.program} --restrict ${join(sshd.dir, 'tree')}",restrict`);
      const args = ['-e', strict.ssh({ restricted: true }).join(' '), '-aH', '127.0.0.1:/', 'by-root/'];
      const { exitCode, stderr } = await rsync(args, { cwd: sshd.dir });
      expect([exitCode, stderr.toString()]).toEqual([0, '']);
      const of = (name: string) => snapshot(join(sshd.dir, name), { startedMs: Date.now() });
      expect(compareSnapshots(of('tree'), of('by-root'))).toEqual([]);
    } finally {
      await strict.close();
    }
  });

  it('reads everything, and writes nothing, for an account with CAP_DAC_READ_SEARCH alone', async ({ skip }) => {
    const node = join(sshd.dir, 'node-that-reads');
    copyFileSync(NODE, node);
    chownSync(node, 0, sshd.uid);
    chmodSync(node, 0o750);
    if (spawnSync('setcap', ['cap_dac_read_search+ep', node]).status !== 0) {
      missing('the right to set file capabilities (setcap, package libcap2-bin)');
      skip();
    }
    const secret = join(sshd.dir, 'secret');
    mkdirSync(join(secret, 'inner'), { recursive: true });
    writeFileSync(join(secret, 'inner/file'), 'only root reads this', { mode: 0 });
    chmodSync(join(secret, 'inner'), 0o700);
    chmodSync(secret, 0o700);
    restrictTo(secret, writeProgram(sshd.dir, 'gokr-rsyncd-that-reads', node));
    const { exitCode, tree } = await pull('rsync', { args: ['-r'], sources: ['/'], login: login() });
    expect([exitCode, tree.get('inner/file')?.size]).toEqual([0, 20n]);
    restrictTo(secret);
    const without = await pull('rsync', { args: ['-r'], sources: ['/'], login: login() });
    expect(without.exitCode).toBe(23);
  });
});
