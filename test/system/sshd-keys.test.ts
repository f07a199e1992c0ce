/** The program as a daemon over a remote shell and as the forced command of a key, behind a real sshd. */

import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compareSnapshots } from '../helpers/compare-snapshots.ts';
import { rsync } from '../helpers/rsync.ts';
import { mustRun, run } from '../helpers/run.ts';
import { snapshot } from '../helpers/snapshot.ts';
import { missing } from '../setup/clients.ts';
import { type Login, NODE, startSshd, writeProgram } from './sshd-server.ts';
import { runnable, sshd, stage, useSshdStage } from './sshd-stage.ts';

useSshdStage();

describe.runIf(runnable)('as a daemon over a remote shell', () => {
  const config = (path: string, more = '') => {
    mkdirSync(join(sshd.home, '.config'), { recursive: true });
    const module = `[[module]]\nname = "mod"\ncomment = "of the user"\npath = "${path}"\n${more}`;
    writeFileSync(join(sshd.home, '.config/gokr-rsyncd.toml'), module);
  };
  const askOf = (program: string, ...args: string[]) =>
    rsync(['-e', sshd.ssh(stage.asUser).join(' '), `--rsync-path=${program}`, ...args], { cwd: sshd.dir });
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
    const login = { ...stage.asUser, restricted: true };
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
    const { stdout } = await stage.remotely('cat /etc/passwd', login);
    expect(stdout.toString()).toMatch(/^@RSYNCD: 32\.0 [^\n]*\n$/);
  });
});

describe.runIf(runnable)('as a forced command', () => {
  const login = (): Login => ({ ...stage.asUser, restricted: true });
  const restrictTo = (directory: string, program = sshd.program) =>
    sshd.authorize(`command="${program} --restrict ${directory}",restrict`);
  /** What a pull below the restricted directory gives, next to what C rsync gives from there without any restriction. */
  const expectBelow = async (args: readonly string[], sources: readonly string[], plain: readonly string[]) => {
    restrictTo(join(sshd.dir, 'home'));
    const expected = await stage.pull('rsync', { args, sources: plain, login: stage.asUser });
    const actual = await stage.pull('rsync', { args, sources, login: login() });
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
    const { exitCode, tree, stderr } = await stage.pull('rsync', { args: ['-rL'], sources: ['/'], login: login() });
    expect(exitCode).toBe(23);
    expect([tree.has('up'), tree.has('absolute'), tree.has('todir/er/file')]).toEqual([false, false, true]);
    expect(stderr.join('\n')).not.toContain(sshd.dir);
  });

  it.each(['../outside', '/etc/passwd', 'up', 'data/../../outside'])('knows no %s', async (source) => {
    restrictTo(join(sshd.dir, 'home'));
    const { exitCode } = await stage.pull('rsync', { args: ['-rL'], sources: [source], login: login() });
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
    const { exitCode, stdout, stderr } = await stage.remotely(command.replaceAll('INJECTED', target), login());
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
    const { exitCode, stderr } = await stage.remotely('rsync --server --sender -r . /', login());
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
    const { tree } = await stage.pull('rsync', { args: options, sources: ['DIR/home/'] });
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
    const { exitCode, tree } = await stage.pull('rsync', { args: ['-r'], sources: ['/'], login: login() });
    expect([exitCode, tree.get('inner/file')?.size]).toEqual([0, 20n]);
    restrictTo(secret);
    const without = await stage.pull('rsync', { args: ['-r'], sources: ['/'], login: login() });
    expect(without.exitCode).toBe(23);
  });
});
