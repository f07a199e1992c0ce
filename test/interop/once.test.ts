/** --once end to end: who gets the one place, and what the exit code says. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { landlockAbi } from '../../src/sandbox/landlock.ts';
import { loadKernel } from '../../src/sandbox/syscalls.ts';
import { compareSnapshots } from '../helpers/compare-snapshots.ts';
import { textOf } from '../helpers/content.ts';
import { OneShot } from '../helpers/one-shot.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { snapshot } from '../helpers/snapshot.ts';
import { makeTree } from '../helpers/tree.ts';
import { hasRoot } from '../setup/clients.ts';

/** Far more than a test takes. */
const LONG = '--once-timeout=10m';

const isReady = hasRoot();
const hasLandlock = isReady && landlockAbi(await loadKernel()) > 0;

describe.runIf(isReady)('--once', () => {
  let dir: string;
  let pulls = 0;
  const shots: OneShot[] = [];

  beforeAll(async () => {
    dir = scratchDir('once');
    mkdirSync(join(dir, 'home'));
    await makeTree(join(dir, 'home'), [
      { name: 'big', content: textOf('big', 4_000_000) },
      { name: 'dir/nested', content: 'nested\n' },
      { name: 'link', symlink: 'dir/nested' },
    ]);
    mkdirSync(join(dir, 'partly'));
    await makeTree(join(dir, 'partly'), [
      { name: 'open', content: 'open' },
      { name: 'closed', content: 'closed', mode: 0 },
    ]);
  });
  afterAll(async () => {
    for (const shot of shots) await shot.stop();
    if (isReady) removeTree(dir);
  });

  const keep = (shot: OneShot): OneShot => {
    shots.push(shot);
    return shot;
  };
  const start = (...args: string[]): OneShot => keep(new OneShot([LONG, ...args]));
  const startAsOwner = (args: readonly string[], nodeArgs: readonly string[] = []): OneShot =>
    keep(new OneShot([LONG, `--gokr.modulemap=bak=${join(dir, 'home')}`, ...args], { asOwner: true, nodeArgs }));
  const startOn = (name: string, ...args: string[]): OneShot =>
    start(`--gokr.modulemap=bak=${join(dir, name)}`, ...args);
  const destination = (): string => join(dir, `got${pulls++}`);

  it('invites one client, serves it, says what came of it, and exits with 0', async () => {
    const shot = startOn('home', '--gokr.listen=127.0.0.1:0');
    const invitation = await shot.invitation();
    expect(Object.keys(invitation)).toEqual(['address', 'module', 'user', 'password']);
    expect(invitation).toMatchObject({
      module: 'bak',
      user: 'once',
      address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    });
    expect(invitation.password).toMatch(/^[\w-]{32}$/);
    const got = destination();
    const { exitCode, stderr } = await shot.pull(['-a', 'URL', got]);
    expect([exitCode, stderr.toString()]).toEqual([0, '']);
    const of = (path: string) => snapshot(path, { startedMs: Number.MAX_SAFE_INTEGER });
    expect(compareSnapshots(of(join(dir, 'home')), of(got))).toEqual([]);
    const end = await shot.ended();
    expect([end.exitCode, end.more]).toEqual([0, []]);
    expect(end.summary).toMatchObject({ outcome: 'ok', exit: 0, module: 'bak', user: 'once', files: 2 });
    expect(end.summary!.bytesSent).toBeGreaterThan(4_000_000);
  });

  it('has another password each time', async () => {
    const [one, two] = [startOn('home'), startOn('home')];
    expect((await one.invitation()).password).not.toBe((await two.invitation()).password);
  });

  it.each([27, 29, 30, 31])('lets in clients of protocol %i, whatever digests they have', async (protocol) => {
    const shot = startOn('home');
    const { exitCode } = await shot.pull(['-a', `--protocol=${protocol}`, 'URL', destination()]);
    expect([exitCode, (await shot.ended()).exitCode]).toEqual([0, 0]);
  });

  it('keeps its place for the client with the password', async () => {
    const shot = startOn('home');
    const { address } = await shot.invitation();
    const wrong = await shot.pull(['-a', 'URL', destination()], { password: 'guessed' });
    expect([wrong.exitCode, wrong.stderr.toString()]).toEqual([
      5,
      expect.stringContaining('auth failed on module bak'),
    ]);
    const listing = await shot.pull([`rsync://${address}/`]);
    expect([listing.exitCode, listing.stdout.toString()]).toEqual([0, '']);
    expect((await shot.pull([`rsync://${address}/other/`])).exitCode).toBe(5);
    expect((await shot.pull(['-a', 'URL', destination()])).exitCode).toBe(0);
    expect((await shot.ended()).exitCode).toBe(0);
  });

  it.each([
    [2, 0],
    [3, 5],
  ])('with 3 failed logins allowed, %i of them end in %i', async (failures, exitCode) => {
    const config = join(dir, 'once.toml');
    const module = `[[module]]\nname = "bak"\npath = ${JSON.stringify(join(dir, 'home'))}\n`;
    writeFileSync(config, `[limits]\nonceFailedLogins = 3\n${module}`);
    const shot = start('--config', config);
    for (let count = 0; count < failures; count++)
      await shot.pull(['-a', 'URL', destination()], { password: 'guessed' });
    if (exitCode === 0) await shot.pull(['-a', 'URL', destination()]);
    const end = await shot.ended();
    expect(end.exitCode).toBe(exitCode);
    if (exitCode !== 0) expect(end.summary).toMatchObject({ outcome: 'access:auth', detail: '3 failed logins' });
  });

  it('serves nobody else once its client is there', async () => {
    const shot = startOn('home');
    const { address } = await shot.invitation();
    const port = Number(address.split(':')[1]);
    const early = connect(port, '127.0.0.1');
    await once(early, 'data');
    const pulling = shot.pull(['-a', '--bwlimit=2M', 'URL', destination()]);
    // Nothing but the login of the other closes it so early: its own deadlines come later.
    await once(early.resume(), 'close');
    const late = await shot.pull(['-a', 'URL', destination()]);
    expect([late.exitCode, late.stderr.toString()]).toEqual([10, expect.stringContaining('Connection refused')]);
    expect([(await pulling).exitCode, (await shot.ended()).exitCode]).toEqual([0, 0]);
  });

  it('exits with 23 when files could not be read', async () => {
    const shot = startOn('partly');
    expect((await shot.pull(['-a', 'URL', destination()])).exitCode).toBe(23);
    const end = await shot.ended();
    expect([end.exitCode, end.summary?.outcome]).toEqual([23, 'ok']);
  });

  it('does not exit with 0 when its client is cut off', async () => {
    const shot = startOn('home');
    const { address, password } = await shot.invitation();
    const args = ['-a', '--bwlimit=100', `rsync://once@${address}/bak/`, destination()];
    const client = spawn('rsync', args, {
      env: { ...process.env, RSYNC_PASSWORD: password },
      stdio: 'ignore',
      detached: true,
    });
    while (!existsSync(args.at(-1)!)) await new Promise((resolve) => setTimeout(resolve, 20));
    process.kill(-client.pid!, 'SIGKILL');
    const end = await shot.ended();
    expect(end.exitCode).toBe(10);
    expect(end.summary).toMatchObject({ outcome: 'peer-gone', exit: 10 });
  });

  it('does not exit with 0 when its client fails by itself', async () => {
    const shot = startOn('home');
    const full = await shot.pull(['--inplace', '--write-devices', 'URLbig', '/dev/full']);
    const end = await shot.ended();
    expect([full.exitCode, end.exitCode]).toEqual([11, 11]);
    expect(end.summary).toMatchObject({ outcome: 'client-exit' });
  });

  it('exits with 30 when nobody comes', async () => {
    const shot = startOn('home', '--once-timeout=1');
    const { exitCode, summary } = await shot.ended();
    expect([exitCode, summary?.outcome, summary?.detail]).toEqual([30, 'timeout', 'no client has logged in in time']);
  });

  it('exits with 20 for a signal', async () => {
    const shot = startOn('home');
    await shot.invitation();
    shot.kill('SIGTERM');
    expect(await shot.ended()).toMatchObject({
      exitCode: 20,
      summary: { outcome: 'signal', detail: 'ended by SIGTERM' },
    });
  });

  it('listens on a unix socket that only its user may use, and removes it', async () => {
    const path = join('/tmp', `rsyncd-once-${process.pid}.sock`);
    const shot = startOn('home', `--gokr.listen=${path}`);
    const { address, password } = await shot.invitation();
    expect([address, statSync(path).mode & 0o777]).toEqual([path, 0o600]);
    const through = `const s = require('node:net').connect(${JSON.stringify(path)}); s.pipe(process.stdout); process.stdin.pipe(s)`;
    writeFileSync(join(dir, 'through.cjs'), through);
    const env = { RSYNC_CONNECT_PROG: `${process.execPath} ${join(dir, 'through.cjs')}`, RSYNC_PASSWORD: password };
    const { exitCode } = await shot.pull(['-a', 'rsync://once@tunnel/bak/', destination()], { env });
    expect([exitCode, (await shot.ended()).exitCode, existsSync(path)]).toEqual([0, 0, false]);
  });

  it('does not take over a file that is there', async () => {
    const shot = startOn('home', `--gokr.listen=${join(dir, 'home/big')}`);
    const { exitCode, stderr } = await shot.ended();
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('EADDRINUSE')]);
  });

  it.runIf(hasLandlock)('lets the owner of the files serve them, whom Landlock keeps from writing', async () => {
    const shot = startAsOwner([]);
    expect((await shot.pull(['-a', 'URL', destination()])).exitCode).toBe(0);
    expect((await shot.ended()).exitCode).toBe(0);
  });

  it.runIf(hasLandlock)('lets him listen on a unix socket, too', async () => {
    const path = join('/tmp', `rsyncd-owner-${process.pid}.sock`);
    const shot = startAsOwner([`--gokr.listen=${path}`]);
    const { address } = await shot.invitation();
    expect([address, statSync(path).mode & 0o777]).toEqual([path, 0o600]);
    shot.kill('SIGTERM');
    expect((await shot.ended()).exitCode).toBe(20);
    rmSync(path);
  });

  it('refuses the owner where nothing keeps him from writing, with the reason', async () => {
    const shot = startAsOwner([], ['--no-experimental-ffi']);
    const { exitCode, stderr } = await shot.ended();
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/module "bak": .*home is writable: /)]);
  });

  it('wants one module', async () => {
    const shot = startOn('home', `--gokr.modulemap=two=${dir}`);
    expect(await shot.ended()).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('serves one module, and there are 2'),
    });
  });
});
