/** A real HAProxy in front of two instances, with deploy/fleet/haproxy.cfg. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { randomBytesOf } from '../helpers/content.ts';
import { freePort } from '../helpers/free-port.ts';
import { rsync } from '../helpers/rsync.ts';
import { endChild } from '../helpers/running-daemon.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { Server } from '../session/support/server.ts';
import { installPackage } from '../setup/client-roots.ts';
import { hasRoot, missing } from '../setup/clients.ts';

const CONFIG = join(import.meta.dirname, '../../deploy/fleet/haproxy.cfg');
const HAPROXY = '/usr/sbin/haproxy';

function haveHaproxy(): boolean {
  if (!hasRoot()) return false;
  const found = (): boolean => spawnSync(HAPROXY, ['-v']).status === 0;
  if (!found()) installPackage('haproxy');
  if (found()) return true;
  missing('haproxy');
  return false;
}

const runnable = haveHaproxy();

async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

describe.runIf(runnable)('two instances behind HAProxy', () => {
  let dir: string;
  let haproxy: ChildProcess;
  let front: number;
  const instances: Server[] = [];
  const pull = (args: readonly string[], address = '127.0.0.1') =>
    rsync([`--address=${address}`, ...args], { cwd: dir });
  const url = (path = ''): string => `rsync://127.0.0.1:${front}/${path}`;

  beforeAll(async () => {
    dir = scratchDir('haproxy');
    mkdirSync(join(dir, 'pub'));
    writeFileSync(join(dir, 'pub/big'), randomBytesOf('big', 20_000_000));
    writeFileSync(join(dir, 'pub/small'), 'small\n');
    const [port, ...behind] = await freePorts(5);
    front = port!;
    const pairs = [behind.slice(0, 2), behind.slice(2)] as [number, number][];
    for (const [plain, monitoring] of pairs) {
      const listener = `[[listener]]\nrsyncd = "127.0.0.1:${plain}"\nproxy_protocol = true\nproxy_trusted = ["127.0.0.1/32"]\n`;
      const watched = `[[listener]]\nhttp_monitoring = "127.0.0.1:${monitoring}"\n`;
      const module = (name: string) => `[[module]]\nname = "${name}"\npath = ${JSON.stringify(join(dir, 'pub'))}\n`;
      const near = `${module('near')}hosts_allow = ["127.0.0.7/32"]\n`;
      instances.push(new Server({ toml: `${listener}${watched}${module('pub')}${near}` }));
    }
    for (const instance of instances) await instance.waitFor(({ listener }) => listener === 'rsyncd');
    writeFileSync(join(dir, 'haproxy.cfg'), adapted(front, pairs));
    haproxy = spawn(HAPROXY, ['-db', '-f', join(dir, 'haproxy.cfg')], { stdio: ['ignore', 'ignore', 'inherit'] });
    for (let attempt = 0; attempt < 200 && (await pull([url()])).exitCode !== 0; attempt++) await sleep(100);
  });
  afterAll(async () => {
    if (haproxy !== undefined) await endChild(haproxy);
    for (const instance of instances) await instance.stop();
    if (runnable) removeTree(dir);
  });

  it('see the clients themselves in access lists and log', async () => {
    expect((await pull(['-r', url('near/'), 'near/'], '127.0.0.7')).exitCode).toBe(0);
    const refused = await pull([url('near/')], '127.0.0.8');
    expect(refused.stderr.toString()).toContain('access denied to near from UNDETERMINED (127.0.0.8)');
    for (const peer of ['127.0.0.7', '127.0.0.8']) {
      await Promise.any(
        instances.map((one) => one.waitFor((line) => line.msg === 'session ended' && line.peer === peer)),
      );
    }
  });

  it('serve new clients when one of them stops in the middle of a transfer', async () => {
    const cut = pull(['--bwlimit=1M', '--partial', url('pub/big'), 'cut']);
    const busy = await Promise.any(instances.map((instance) => hasClient(instance)));
    busy.kill('SIGTERM');
    const results = await Promise.all([1, 2, 3, 4].map((number) => pull([url('pub/small'), `small${number}`])));
    expect(results.map(({ exitCode, stderr }) => [exitCode, stderr.toString()])).toEqual(Array(4).fill([0, '']));
    expect((await busy.ended()).exitCode).toBe(0);
    expect((await cut).exitCode).not.toBe(0);
    expect((await pull(['--partial', '--append-verify', url('pub/big'), 'cut'])).exitCode).toBe(0);
    expect(readFileSync(join(dir, 'cut')).equals(readFileSync(join(dir, 'pub/big')))).toBe(true);
  });
});

/** The instance itself, once it has a client: only a connection of its own tells that before the session's last line. */
async function hasClient(instance: Server): Promise<Server> {
  const inode = /socket:\[(\d+)\]/;
  for (let attempt = 0; attempt < 600; attempt++) {
    const { stdout } = spawnSync('ls', ['-l', `/proc/${instance.pid}/fd`], { encoding: 'utf8' });
    const opened = stdout.split('\n').some((line) => line.endsWith('/pub/big'));
    if (opened && inode.test(stdout)) return instance;
    await sleep(50);
  }
  throw new Error('has no client');
}

/** The shipped configuration with the ports of this test. */
function adapted(front: number, [one, two]: [number, number][]): string {
  const [[plain1, check1], [plain2, check2]] = [one!, two!];
  return readFileSync(CONFIG, 'utf8')
    .replace('bind :873', `bind 127.0.0.1:${front}`)
    .replace('check port 8738 inter 2s', 'check inter 200ms')
    .replace('10.0.0.11:8730', `127.0.0.1:${plain1} port ${check1}`)
    .replace('10.0.0.12:8730', `127.0.0.1:${plain2} port ${check2}`);
}
