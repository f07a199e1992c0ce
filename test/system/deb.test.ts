/** The Debian package on a bare Debian: installed, serving, changed, removed without a trace. */

import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildDeb } from '../../deploy/build/deb.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { released } from './build.ts';
import { bootMachine, type Machine } from './machine.ts';
import { journal } from './service.ts';

const scratch = scratchDir('deb', '/var/tmp');
let deb: string;
let machine: Machine;
let before: string[];

/** All paths that a package could leave something at; what apt, dpkg and systemd keep of any package is not ours. */
async function paths(): Promise<string[]> {
  const skipped = ['/root', '/run', '/tmp', '/var/cache', '/var/lib', '/var/log', '/var/tmp'];
  const prune = skipped.flatMap((path) => ['-path', path, '-prune', '-o']);
  return (await machine.output('find', '/', '-xdev', ...prune, '-print')).trim().split('\n').sort();
}

beforeAll(async () => {
  [deb, machine] = await Promise.all([released(/\.deb$/) ?? buildDeb(scratch), bootMachine('bookworm')]);
  before = await paths();
  copyFileSync(deb, machine.at('/root/gokr-rsyncd.deb'));
});
afterAll(async () => {
  await machine?.stop();
  removeTree(scratch);
});

describe('the Debian package', () => {
  it('has the same bytes each time', async () => {
    const again = await buildDeb(join(scratch, 'again'));
    expect(basename(again)).toBe(basename(deb));
    expect(readFileSync(again).equals(readFileSync(deb))).toBe(true);
  });

  it('serves its sample when the socket is enabled', async () => {
    await machine.output('apt-get', 'install', '-y', '/root/gokr-rsyncd.deb');
    for (const page of ['man8/gokr-rsyncd.8', 'man5/gokr-rsyncd.toml.5']) {
      expect(existsSync(machine.at(`/usr/share/man/${page}.gz`))).toBe(true);
    }
    await machine.output('systemctl', 'enable', '--now', 'gokr-rsyncd.socket');
    expect(await machine.output('rsync', 'rsync://127.0.0.1/')).toMatch(/^sample\s+sample files/);
    await machine.output('rsync', '-a', 'rsync://127.0.0.1/sample/', '/root/pulled/');
    await machine.output('diff', '-r', '/usr/share/gokr-rsyncd/sample', '/root/pulled');
  });

  it('made a host key that only root can read, and serves SSH with it', async () => {
    expect(statSync(machine.at('/etc/gokr-rsyncd/ssh_host_ed25519_key')).mode & 0o777).toBe(0o600);
    const key = 'host_key_path = "gokr-rsyncd/ssh_host_ed25519_key"';
    appendFileSync(machine.at('/etc/gokr-rsyncd.toml'), `[[listener]]\nanon_ssh = "[::]:22873"\n${key}\n`);
    const checked = await machine.output('gokr-rsyncd', '--check');
    const fingerprint = /SHA256:\S+/.exec(checked)?.[0];
    expect(fingerprint).toBeDefined();
    await machine.output('systemctl', 'stop', 'gokr-rsyncd.service');
    await machine.output('systemctl', 'enable', '--now', 'gokr-rsyncd-ssh.socket');
    expect(await machine.output('bash', '-c', 'exec 3<>/dev/tcp/127.0.0.1/22873; head -c 8 <&3')).toBe('SSH-2.0-');
    // The log is written behind the first connections.
    const line = `"listener":"anon_ssh","hostKey":"${fingerprint}"`;
    await expect.poll(() => journal(machine), { timeout: 30_000, interval: 500 }).toContain(line);
  });

  it('serves other modules after the commands that its configuration names', async () => {
    mkdirSync(machine.at('/srv/pub'), { recursive: true });
    writeFileSync(machine.at('/srv/pub/file'), 'hello\n');
    appendFileSync(machine.at('/etc/gokr-rsyncd.toml'), '[[module]]\nname = "pub"\npath = "/srv/pub"\n');
    const commands = readFileSync(machine.at('/etc/gokr-rsyncd.toml'), 'utf8').match(/(?<=^# {3})\S.*$/gm)!;
    expect(commands).toHaveLength(3);
    for (const command of commands) await machine.output('sh', '-c', command);
    expect(await machine.output('rsync', 'rsync://127.0.0.1/pub/file')).toContain('file');
  });

  it('leaves its configuration when it is removed, and nothing when it is purged', async () => {
    await machine.output('apt-get', 'remove', '-y', 'gokr-rsyncd');
    const kept = (await paths()).filter((path) => !before.includes(path) && !path.startsWith('/srv/pub'));
    expect(kept).toEqual([
      '/etc/gokr-rsyncd',
      '/etc/gokr-rsyncd.toml',
      '/etc/gokr-rsyncd/ssh_host_ed25519_key',
      '/etc/systemd/system/gokr-rsyncd.service.d',
      '/etc/systemd/system/gokr-rsyncd.service.d/modules.conf',
    ]);
    await machine.output('apt-get', 'purge', '-y', 'gokr-rsyncd');
    expect((await paths()).filter((path) => !before.includes(path) && !path.startsWith('/srv/pub'))).toEqual([]);
    expect(await machine.output('systemctl', 'list-units', '--all', '--no-legend', 'gokr-rsyncd*')).toBe('');
  });
});
