/** The program in place of the remote rsync, behind a real sshd: what C rsync's end does there, it does as well. */

import { chmodSync, existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { rsync } from '../helpers/rsync.ts';
import { runnable, sshd, stage, useSshdStage } from './sshd-stage.ts';

useSshdStage();

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
    const { exitCode } = await stage.pull('rsync', { args, sources: ['DIR/tree/'] });
    await stage.expectSame({ args, sources: ['DIR/tree/'] }, exitCode ?? -1);
  });

  it.each([27, 28, 29, 30, 31, 32])('speaks protocol %i', async (protocol) => {
    const args = ['-aH', `--protocol=${protocol}`];
    await stage.expectSame({ args, sources: ['DIR/tree/'] });
    await stage.expectSame({ args: [...args, '-s'], sources: ['DIR/home/sp ace/'] });
  });

  it('updates a stale copy and deletes what is gone', async () => {
    await stage.expectSame({ args: ['-a', '--delete'], sources: ['DIR/tree/'], template: 'stale' });
  });

  // One source each: C rsync carries rules of merge files over from one source to the next.
  it.each([
    [['-aF'], ['DIR/filter/']],
    [['-aFF', '--exclude=core'], ['DIR/filter/src']],
    [['-aC'], ['DIR/filter/']],
  ])('reads merge files as %j asks', async (args, sources) => {
    await stage.expectSame({ args, sources });
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
    await stage.expectSame({ args: ['-r'], sources, login: stage.asUser });
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
    await stage.expectSame({ args: ['-rR'], sources, login: stage.asUser });
    await stage.expectSame({ args: ['-rR', '--no-i-r', '--no-implied-dirs'], sources, login: stage.asUser });
  });

  it.each([
    [['data/*', 'sp ace', '*.nothing'], 23],
    [['[!-]*'], 0],
    [['[s]t*', '-dash'], 0],
  ])('expands %j itself when no shell has seen it (-s)', async (sources, exitCode) => {
    await stage.expectSame({ args: ['-rs'], sources, login: stage.asUser }, exitCode);
  });

  it('takes no name that a wildcard matched for an option (-s), other than C rsync', async () => {
    const { exitCode, tree } = await stage.pull(sshd.program, { args: ['-rs'], sources: ['*'], login: stage.asUser });
    expect([exitCode, tree.get('-dash')?.size]).toEqual([0, 4n]);
  });

  it('follows absolute links, and those that lead out of what was asked for', async () => {
    await stage.expectSame({ args: ['-rL'], sources: ['./'], login: stage.asUser });
    await stage.expectSame({ args: ['-r', '--copy-unsafe-links'], sources: ['./'], login: stage.asUser });
  });

  it.each([
    [['missing', 'stair']],
    [['data/missing', 'stair']],
    [['nowhere/at/all', 'stair']],
    [['data/../missing', 'stair']],
    [['/nowhere', '/nowhere/else', 'stair']],
    [['stair/', 'stair']],
  ])('says what C rsync says of %j and ends with 23', async (sources) => {
    await stage.expectSame({ args: ['-r'], sources, login: stage.asUser }, 23);
  });

  it('ends with 23 for what the user may not read', async () => {
    mkdirSync(join(sshd.dir, 'locked/in'), { recursive: true });
    for (const name of ['locked/file', 'locked/open', 'locked/in/file']) writeFileSync(join(sshd.dir, name), 'x');
    chmodSync(join(sshd.dir, 'locked/file'), 0);
    chmodSync(join(sshd.dir, 'locked/in'), 0o700);
    // Not of now, which the comparison takes for the time of the pull.
    for (const name of ['locked/file', 'locked/open', 'locked/in', 'locked'])
      utimesSync(join(sshd.dir, name), 1e9, 1e9);
    await stage.expectSame({ args: ['-a'], sources: ['DIR/locked'], login: stage.asUser }, 23);
  });

  it.each([['--files-from=-'], ['--files-from=:names'], ['--files-from=:DIR/home/names']])(
    'takes names with %s',
    async (from) => {
      const args = ['-r', from.replace('DIR', sshd.dir)];
      await stage.expectSame({ args, sources: ['./'], login: stage.asUser, input: 'data/a.c\nsp ace\nmissing\n' }, 23);
    },
  );

  it('refuses --remove-source-files with its reason and status 1', async () => {
    const { exitCode, stderr } = await stage.pull(sshd.program, {
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
    const { stdout, stderr, exitCode } = await stage.remotely(`${sshd.program} --server --sender -r . .`);
    expect(stdout.toString('hex')).toBe('20000000');
    expect(stderr.toString()).toContain('connection closed');
    expect(exitCode).not.toBe(0);
  });
});
