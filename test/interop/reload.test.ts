/** A daemon that changes while it serves: its configuration after SIGHUP, and what a module's link points to. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { randomBytesOf } from '../helpers/content.ts';
import { type OurDaemon, startDaemon } from '../helpers/daemon.ts';
import { type ModuleSpec, toToml } from '../helpers/module-spec.ts';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import { mustRun } from '../helpers/run.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { hasRoot, systemClient } from '../setup/clients.ts';

/** More than all buffers between the daemon's disk and a client that has stopped reading. */
const BIG_BYTES = 24 * 1024 ** 2;

/** Several starts and pulls, also on a machine that has other things to do. */
const TEST_MS = 240_000;

let dir: string;
let daemon: OurDaemon | undefined;

beforeEach(() => {
  dir = scratchDir('reload');
});
afterEach(async () => {
  await daemon?.stop();
  daemon = undefined;
  removeTree(dir);
});

/** Started as root the daemon sees its modules only: this one holds what later configurations name. */
function everything(): ModuleSpec {
  return { name: 'everything', path: dir };
}

function makeModule(name: string, content: string): ModuleSpec {
  const path = join(dir, name);
  mkdirSync(path);
  writeFileSync(join(path, 'file'), content);
  return { name, path };
}

async function listing(port: number): Promise<string> {
  return (await rsync([`rsync://127.0.0.1:${port}/`])).stdout.toString();
}

async function contentOf(port: number, module: string): Promise<string> {
  const copy = join(dir, 'one-file');
  rmSync(copy, { force: true });
  await rsync(['-a', moduleUrl(port, module, 'file'), copy]);
  return existsSync(copy) ? (await mustRun('cat', [copy])).stdout.toString() : 'nothing';
}

/** A client that has begun to pull and then stands still, all its processes. */
async function stoppedPull(url: string, copy: string): Promise<ChildProcess> {
  const [program, ...prefix] = systemClient().command;
  // Slow enough not to be done before it is seen to have begun.
  const client = spawn(program, [...prefix, '-a', '--bwlimit=8192', url, `${copy}/`], {
    detached: true,
    stdio: 'ignore',
  });
  while (!existsSync(copy) || readdirSync(copy).every((name) => !name.startsWith('.big'))) {
    if (client.exitCode !== null) throw new Error(`the client has ended: ${client.exitCode}`);
    await sleep(5);
  }
  process.kill(-client.pid!, 'SIGSTOP');
  return client;
}

/** Runs the script of deploy/mirror when the last snapshot, named by the second, is of another one. */
async function publish(source: string, top: string): Promise<void> {
  const last = existsSync(top) ? readdirSync(join(top, 'snapshots')).at(-1) : undefined;
  while (
    last ===
    `${new Date()
      .toISOString()
      .slice(0, 19)
      .replace(/:(\d\d):/, '$1')}`
  )
    await sleep(100);
  await mustRun('sh', [join(import.meta.dirname, '../../deploy/mirror/publish.sh'), `${source}/`, top]);
}

async function goOn(client: ChildProcess): Promise<number | null> {
  const ended = once(client, 'exit');
  process.kill(-client.pid!, 'SIGCONT');
  await ended;
  return client.exitCode;
}

describe.runIf(hasRoot())('SIGHUP', { timeout: TEST_MS }, () => {
  it('gives new sessions the new configuration, and running ones finish on the old', async () => {
    const old = makeModule('old', 'old\n');
    const next = makeModule('next', 'next\n');
    writeFileSync(join(old.path, 'big'), randomBytesOf('big', BIG_BYTES));
    daemon = await startDaemon({ modules: [old, everything()] });
    const client = await stoppedPull(moduleUrl(daemon.port, 'old'), join(dir, 'copy'));
    writeFileSync(join(dir, 'motd'), 'all is new\n');
    writeFileSync(daemon.configFile, toToml([next], { motd_file: join(dir, 'motd') }));
    await daemon.reload();
    expect(await listing(daemon.port)).toMatch(/^all is new\n\s*next\s*\n$/);
    expect(await contentOf(daemon.port, 'next')).toBe('next\n');
    expect(await contentOf(daemon.port, 'old')).toBe('nothing');
    expect(await goOn(client)).toBe(0);
    await mustRun('diff', ['-r', old.path, join(dir, 'copy')]);
  });

  it('applies new limits, secrets and access lists', async () => {
    const module = makeModule('pub', 'hello\n');
    daemon = await startDaemon({ modules: [module, everything()] });
    expect(await contentOf(daemon.port, 'pub')).toBe('hello\n');
    writeFileSync(join(dir, 'secrets'), 'alice:right\n', { mode: 0o640 });
    await mustRun('chown', ['root:nogroup', join(dir, 'secrets')]);
    const keys = { auth_users: ['alice'], secrets_file: join(dir, 'secrets') };
    writeFileSync(daemon.configFile, toToml([{ ...module, keys }]));
    await daemon.reload();
    const pull = (password: string) =>
      rsync([`rsync://alice@127.0.0.1:${daemon!.port}/pub/`], { env: { RSYNC_PASSWORD: password } });
    expect((await pull('right')).exitCode).toBe(0);
    expect((await pull('wrong')).exitCode).toBe(5);
    writeFileSync(join(dir, 'secrets'), 'alice:other\n');
    await daemon.reload();
    expect((await pull('right')).exitCode).toBe(5);
    writeFileSync(daemon.configFile, toToml([{ ...module, keys: { hosts_allow: ['10.0.0.0/8'] } }]));
    await daemon.reload();
    expect((await rsync([moduleUrl(daemon.port, 'pub')])).exitCode).toBe(5);
    const limits = `${toToml([module])}\n[limits]\nfilterRules = 1\n`;
    writeFileSync(daemon.configFile, limits);
    await daemon.reload();
    expect((await rsync([moduleUrl(daemon.port, 'pub')])).exitCode).toBe(0);
    const rules = ['--exclude=a', '--exclude=b', '--exclude=c'];
    const refused = await rsync(['-a', ...rules, moduleUrl(daemon.port, 'pub'), join(dir, 'copy')]);
    expect(refused.stderr.toString()).toContain('filterRules');
  });

  it('keeps the old configuration while the file is wrong, and names file, line and key', async () => {
    const module = makeModule('pub', 'hello\n');
    daemon = await startDaemon({ modules: [module] });
    writeFileSync(daemon.configFile, `${toToml([module])}commnt = "x"\n`);
    const line = toToml([module]).split('\n').length;
    const log = (await daemon.reload()).join('\n');
    expect(log).toContain('that of before stays in force');
    expect(log).toContain(`${daemon.configFile}:${line}`);
    expect(log).toContain('commnt');
    expect(await contentOf(daemon.port, 'pub')).toBe('hello\n');
    writeFileSync(daemon.configFile, toToml([{ ...module, name: 'renamed' }]));
    await daemon.reload();
    expect(await contentOf(daemon.port, 'renamed')).toBe('hello\n');
  });

  it.each([
    ['a message of the day that is no text', 'motd', Buffer.from([0xff, 0xfe, 0x0a]), /motd_file: .*UTF-8/],
    ['a secrets file with a line that is none', 'secrets', Buffer.from('alice\n'), /secrets_file: .*secrets/],
  ])('keeps the old configuration over %s, and says which file and why', async (_, file, bytes, reason) => {
    const module = makeModule('pub', 'hello\n');
    const write = (name: string, content: string | Buffer): string => {
      writeFileSync(join(dir, name), content, { mode: 0o640 });
      return join(dir, name);
    };
    const files = { motd: write('motd', 'good morning\n'), secrets: write('secrets', 'alice:right\n') };
    await mustRun('chown', ['root:nogroup', files.motd, files.secrets]);
    const keys = { auth_users: ['alice'], secrets_file: files.secrets };
    daemon = await startDaemon({ modules: [{ ...module, keys }, everything()], globals: { motd_file: files.motd } });
    write(file, bytes);
    const log = (await daemon.reload()).join('\n');
    expect(log).toContain('that of before stays in force');
    expect(log).toContain(join(dir, file));
    expect(log).toMatch(reason);
    const { exitCode, stdout } = await rsync([`rsync://alice@127.0.0.1:${daemon.port}/pub/`], {
      env: { RSYNC_PASSWORD: 'right' },
    });
    expect([exitCode, stdout.toString().split('\n')[0]]).toEqual([0, 'good morning']);
  });

  it('says what a daemon in a root of its own cannot see', async () => {
    const [module, elsewhere] = [makeModule('pub', 'hello\n'), makeModule('elsewhere', 'x\n')];
    daemon = await startDaemon({ modules: [module] });
    writeFileSync(daemon.configFile, toToml([module, elsewhere]));
    const log = (await daemon.reload()).join('\n');
    expect(log).toMatch(/elsewhere.*no such file.*out of sight until a restart/);
    expect(await contentOf(daemon.port, 'pub')).toBe('hello\n');
  });

  it('says that listeners stay as they are', async () => {
    const module = makeModule('pub', 'hello\n');
    daemon = await startDaemon({ modules: [module] });
    writeFileSync(daemon.configFile, `${toToml([module])}\n[[listener]]\nrsyncd = "127.0.0.1:9"\n`);
    expect((await daemon.reload()).join('\n')).toMatch(/"keys":\["listener"\].*only after a restart/);
    expect(await contentOf(daemon.port, 'pub')).toBe('hello\n');
  });
});

describe.runIf(hasRoot())('a module whose path is a link to a snapshot', { timeout: TEST_MS }, () => {
  it('is the new snapshot for new sessions, and the old one for those that run', async () => {
    const [first, second] = [makeModule('first', '1\n'), makeModule('second', '2\n')];
    writeFileSync(join(first.path, 'big'), randomBytesOf('big', BIG_BYTES));
    for (const name of ['a', 'b', 'z']) mkdirSync(join(first.path, name));
    writeFileSync(join(first.path, 'z/last'), 'of the first\n');
    const current = join(dir, 'current');
    symlinkSync('first', current);
    daemon = await startDaemon({ modules: [{ name: 'pub', path: current }] });
    const client = await stoppedPull(moduleUrl(daemon.port, 'pub'), join(dir, 'copy'));
    // As `ln -s second next && mv -T next current`: at no time is there no snapshot.
    symlinkSync('second', join(dir, 'next'));
    renameSync(join(dir, 'next'), current);
    expect(await contentOf(daemon.port, 'pub')).toBe('2\n');
    expect(await goOn(client)).toBe(0);
    await mustRun('diff', ['-r', first.path, join(dir, 'copy')]);
    expect(await contentOf(daemon.port, 'pub')).toBe('2\n');
    expect(second.path).not.toBe(current);
  });

  it('is what deploy/mirror/publish.sh has published last, also while it publishes', async () => {
    const [source, top] = [makeModule('source', '1\n').path, join(dir, 'mirror')];
    for (const name of ['big', 'kept']) writeFileSync(join(source, name), randomBytesOf(name, BIG_BYTES));
    await publish(source, top);
    daemon = await startDaemon({ modules: [{ name: 'pub', path: join(top, 'current') }] });
    const client = await stoppedPull(moduleUrl(daemon.port, 'pub'), join(dir, 'copy'));
    const first = realpathSync(join(top, 'current'));
    writeFileSync(join(source, 'file'), 'second\n');
    rmSync(join(source, 'big'));
    await publish(source, top);
    expect(await contentOf(daemon.port, 'pub')).toBe('second\n');
    expect(await goOn(client)).toBe(0);
    await mustRun('diff', ['-r', first, join(dir, 'copy')]);
    const second = realpathSync(join(top, 'current'));
    await mustRun('diff', ['-r', source, second]);
    expect(readdirSync(top).toSorted()).toEqual(['current', 'snapshots']);
    expect(readdirSync(join(top, 'snapshots'))).toHaveLength(2);
    expect(statSync(join(first, 'kept')).ino).toBe(statSync(join(second, 'kept')).ino);
  });
});
