/** The daemon locks itself in: started as root, as root of a user namespace, and as an ordinary user; each with a hostile probe inside. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server as NetServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { HOSTILE_PROBE, notDenied, PROBE_ATTEMPTS, probeOutcomes } from '../helpers/hostile-probe.ts';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import { mustRun, run } from '../helpers/run.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { startFlipper } from '../session/support/flipper.ts';
import { type ListeningServer, PROJECT, runToEnd, startServer } from '../session/support/server.ts';
import { missing } from '../setup/clients.ts';

const USER = 1000;
const LINKLESS = 'mounted so that the kernel follows no link';
const GUARANTEES = [
  'identity',
  'capabilities',
  'no new privileges',
  'seccomp',
  'landlock',
  'modules read-only',
  'nothing writable',
  'no secrets',
  'host hidden',
  'processes hidden',
  'no programs',
  'no sockets',
];

/** How a start is made; `identity` is what the kernel must say of it. */
interface Way {
  readonly name: string;
  readonly wrap: readonly string[];
  readonly uid: number;
  /** Whether root got a root directory of its own. */
  readonly ownRoot: boolean;
}

const AS_USER = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'];
const WAYS: readonly Way[] = [
  { name: 'root', wrap: [], uid: 65_534, ownRoot: true },
  {
    name: 'root of a user namespace',
    wrap: [...AS_USER, 'unshare', '--user', '--map-root-user'],
    uid: USER,
    ownRoot: true,
  },
  { name: 'an ordinary user', wrap: AS_USER, uid: USER, ownRoot: false },
];

let dir: string;
let module: string;
let victim: ChildProcess;
let service: NetServer;
const running: ListeningServer[] = [];

/** A module that everybody may write, as its owner and mode have it, with the probe in it, which the sandbox must not hide. */
function makeModule(): void {
  module = join(dir, 'pub');
  mkdirSync(join(module, 'deep'), { recursive: true });
  writeFileSync(join(module, 'file'), 'content\n');
  writeFileSync(join(module, 'deep/er'), 'deeper\n');
  cpSync(HOSTILE_PROBE, join(module, 'probe.mjs'));
  for (const name of ['', 'file', 'deep', 'deep/er']) chmodSync(join(module, name), 0o777);
}

const toml = (keys = ''): string =>
  `[[listener]]\nrsyncd = "127.0.0.1:0"\n[[module]]\nname = "pub"\npath = "${module}"\n${keys}`;

async function start(wrap: readonly string[], keys = '', probe = false): Promise<ListeningServer> {
  const { port } = service.address() as { port: number };
  const started = await startServer({
    // The main thread is where the probe can try to become somebody else.
    toml: (probe ? 'workers = 1\n' : '') + toml(keys),
    wrap,
    args: ['--require-sandbox=strict'],
    nodeArgs: probe ? ['--import', join(module, 'probe.mjs')] : [],
    env: { PROBE_MODULE: module, PROBE_PORT: String(port), PROBE_VICTIM: String(victim.pid) },
  });
  running.push(started);
  return started;
}

const statusOf = (pid: number): string => readFileSync(`/proc/${pid}/status`, 'latin1');

beforeAll(async () => {
  dir = scratchDir('sandbox');
  makeModule();
  service = createServer().listen(0, '127.0.0.1');
  await once(service, 'listening');
  victim = spawn('sleep', ['1000'], { uid: USER, gid: USER, stdio: 'ignore' });
});
afterEach(async () => {
  for (const { server } of running.splice(0)) await server.stop();
});
afterAll(async () => {
  service.close();
  const ended = once(victim, 'exit');
  victim.kill('SIGKILL');
  await ended;
  removeTree(dir);
});

describe.each(WAYS)('started as $name, the daemon', ({ wrap, uid, ownRoot }) => {
  /** False where this machine has no such way, as a kernel without user namespaces for ordinary users. */
  const isPossible = async (): Promise<boolean> => {
    if (wrap.length === 0 || (await run(wrap[0]!, [...wrap.slice(1), 'true'])).exitCode === 0) return true;
    missing(`${wrap.join(' ')}: not tested`);
    return false;
  };

  it('serves a tree that everybody may write, and holds every guarantee', async (context) => {
    if (!(await isPossible())) return context.skip();
    const { server, port } = await start(wrap);
    const pulled = await rsync(['-a', moduleUrl(port, 'pub', ''), `pulled-${uid}-${ownRoot}/`], { cwd: dir });
    expect([pulled.exitCode, pulled.stderr.toString()]).toEqual([0, '']);
    expect(readFileSync(join(dir, `pulled-${uid}-${ownRoot}/deep/er`), 'utf8')).toBe('deeper\n');
    const rows = server.logged.filter(({ guarantee }) => guarantee !== undefined);
    expect(rows.map(({ guarantee, msg }) => [guarantee, msg])).toEqual(
      GUARANTEES.map((name) => [name, 'sandbox: holds']),
    );
    const status = statusOf(server.pid);
    expect(status).toMatch(new RegExp(`^Uid:\t${uid}\t${uid}\t${uid}\t${uid}$`, 'm'));
    expect(status).toMatch(/^CapEff:\t0{16}$/m);
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    for (const task of readdirSync(`/proc/${server.pid}/task`)) {
      expect(readFileSync(`/proc/${server.pid}/task/${task}/status`, 'latin1')).toMatch(/^Seccomp:\t2$/m);
    }
  });

  it.runIf(ownRoot)('sees the minimal root, its module and its own process alone', async (context) => {
    if (!(await isPossible())) return context.skip();
    const { server } = await start(wrap);
    const root = `/proc/${server.pid}/root`;
    const names = new Set([
      'dev',
      'etc',
      'lib',
      'lib64',
      'proc',
      'usr',
      ...[PROJECT, dir].map((path) => path.split('/')[1]),
    ]);
    expect(readdirSync(root).filter((name) => !names.has(name))).toEqual([]);
    expect(readdirSync(`${root}/etc`)).toEqual(['ld.so.cache']);
    expect(readdirSync(`${root}/proc`).toSorted()).toEqual([String(server.pid), 'self'].toSorted());
    expect(readdirSync(`${root}/dev`)).toEqual(['null']);
    expect(readdirSync(join(root, dir))).toEqual(['pub']);
    const mounts = readFileSync(`/proc/${server.pid}/mountinfo`, 'latin1').trim().split('\n');
    expect(mounts.filter((line) => !/^\S+ \S+ \S+ \S+ \S+ ro,nosuid,/.test(line))).toEqual([]);
    const linkless = mounts.filter((line) => line.split(' ')[5]!.split(',').includes('nosymfollow'));
    expect(linkless.map((line) => line.split(' ')[4])).toEqual([module]);
    expect(server.logged).toContainEqual(expect.objectContaining({ modules: ['pub'], msg: LINKLESS }));
  });

  it('gives a hostile process in its place nothing: each attempt is denied', async (context) => {
    if (!(await isPossible())) return context.skip();
    const { server, port } = await start(wrap, 'xattrs = true\n', true);
    const seen = probeOutcomes(server.lines.join('\n'));
    expect(notDenied(seen)).toEqual([]);
    expect(seen.size).toBeGreaterThanOrEqual(PROBE_ATTEMPTS);
    expect(victim.exitCode ?? victim.signalCode).toBeNull();
    expect(readFileSync(join(module, 'file'), 'utf8')).toBe('content\n');
    expect(readdirSync(module).toSorted()).toEqual(['deep', 'file', 'probe.mjs']);
    expect((await rsync(['-a', moduleUrl(port, 'pub', 'file'), 'after'], { cwd: dir })).exitCode).toBe(0);
  });

  it('shows the same table with --check', async (context) => {
    if (!(await isPossible())) return context.skip();
    const { stdout, exitCode } = await runToEnd({ toml: toml(), wrap, args: ['--check', '--require-sandbox=strict'] });
    const shown = [...stdout.matchAll(/^ {2}(holds|FAILS) {2}(.*?) {2}/gm)].map(([, holds, name]) => [name, holds]);
    expect(shown).toEqual(GUARANTEES.map((name) => [name, 'holds']));
    expect(exitCode).toBe(0);
  });
});

describe('a start that cannot lock itself in', () => {
  const withoutFfi = { nodeArgs: ['--no-experimental-ffi'] };

  it('goes on with a warning for each guarantee that does not hold, as nobody', async () => {
    chmodSync(module, 0o755);
    for (const name of ['file', 'deep', 'deep/er'])
      chmodSync(join(module, name), 0o644 | (name === 'deep' ? 0o111 : 0));
    const started = await startServer({ toml: toml(), ...withoutFfi });
    running.push(started);
    expect(started.server.logged).toContainEqual(
      expect.objectContaining({ level: 'warn', gap: expect.stringContaining("needs Node's FFI") }),
    );
    const failed = started.server.logged.filter(({ msg }) => msg === 'sandbox: does not hold');
    expect(failed.map(({ guarantee }) => guarantee)).toEqual(
      expect.arrayContaining(['seccomp', 'landlock', 'no programs']),
    );
    expect(statusOf(started.server.pid)).toMatch(/^Uid:\t65534\t/m);
  });

  it('is refused with --require-sandbox=strict, naming what does not hold', async () => {
    const end = await runToEnd({ toml: toml(), args: ['--require-sandbox=strict'], ...withoutFfi });
    expect(end.stderr).toMatch(/these guarantees do not hold\n.* {2}seccomp: Seccomp 0\n/s);
    expect(end.exitCode).toBe(1);
  });
});

describe('a privileged start', () => {
  it('serves modules inside modules, links of root, and what root alone may enter', async () => {
    const closed = join(dir, 'closed');
    for (const tree of [join(closed, 'served'), join(dir, 'snapshots/1')]) {
      mkdirSync(join(tree, 'inner'), { recursive: true });
      writeFileSync(join(tree, 'inner/file'), 'inner\n');
    }
    // Of a link its own directory is seen as well: new sessions follow it to where it leads by then.
    mkdirSync(join(dir, 'links'));
    chmodSync(closed, 0o700);
    await mustRun('ln', ['-s', join(dir, 'snapshots/1'), join(dir, 'links/link')]);
    const names = {
      outer: join(closed, 'served'),
      inner: join(closed, 'served/inner'),
      linked: join(dir, 'links/link'),
    };
    await mustRun('ln', ['-s', 'inner', join(closed, 'served/asked')]);
    const modules = Object.entries(names).map(([name, path]) => `[[module]]\nname = "${name}"\npath = "${path}"\n`);
    const started = await startServer({ toml: toml() + modules.join('') });
    running.push(started);
    for (const path of ['outer/inner/file', 'inner/file', 'linked/inner/file']) {
      const [name, ...rest] = path.split('/');
      const { exitCode } = await rsync([moduleUrl(started.port, name!, rest.join('/')), 'got'], { cwd: dir });
      expect({ path, exitCode }).toEqual({ path, exitCode: 0 });
    }
    // What lies in another module, and what a link leads to, is no mount of its own.
    expect(started.server.logged).toContainEqual(expect.objectContaining({ modules: ['pub', 'outer'], msg: LINKLESS }));
    const followed = await rsync(['-rL', moduleUrl(started.port, 'outer', ''), 'followed/'], { cwd: dir });
    expect([followed.exitCode, readFileSync(join(dir, 'followed/asked/file'), 'utf8')]).toEqual([0, 'inner\n']);
  });

  it('shows nothing of outside while a directory is swapped for a link', { timeout: 120_000 }, async () => {
    const { port, server } = await start([]);
    mkdirSync(join(dir, 'outside'));
    writeFileSync(join(dir, 'outside/er'), 'secret\n');
    await mustRun('ln', ['-s', '../outside', join(module, 'evil')]);
    const flipper = await startFlipper(join(module, 'deep'), join(module, 'evil'));
    const contents = new Set<string>();
    for (let round = 0; round < 30; round++) {
      const out = join(dir, `swapped-${round}`);
      const { exitCode } = await rsync(['-r', '-L', moduleUrl(port, 'pub', ''), `${out}/`], { cwd: dir });
      expect([0, 23, 24]).toContain(exitCode);
      for (const name of readdirSync(out, { recursive: true, encoding: 'utf8' })) {
        if (name.endsWith('er')) contents.add(readFileSync(join(out, name), 'utf8'));
      }
    }
    expect(await flipper.stop()).toBeGreaterThan(0);
    expect([...contents].filter((text) => text !== 'deeper\n')).toEqual([]);
    expect(server.logged).toContainEqual(expect.objectContaining({ modules: ['pub'], msg: LINKLESS }));
    rmSync(join(module, 'evil'));
  });

  it('serves the whole system read-only', async () => {
    const started = await startServer({ toml: toml('[[module]]\nname = "all"\npath = "/"\n') });
    running.push(started);
    const got = await rsync([moduleUrl(started.port, 'all', 'etc/hostname'), 'hostname'], { cwd: dir });
    expect(got.exitCode).toBe(0);
    const shadow = await rsync([moduleUrl(started.port, 'all', 'etc/shadow'), 'shadow'], { cwd: dir });
    expect(shadow.exitCode).toBe(23);
    const rows = started.server.logged.filter(({ msg }) => msg === 'sandbox: does not hold');
    expect(rows).toEqual([]);
  });
});
