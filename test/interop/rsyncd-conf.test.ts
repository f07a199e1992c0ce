/** The sample rsyncd.conf files, served by us and by C rsync from the very same file: lists and pulls must be equal. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareSnapshots } from '../helpers/compare-snapshots.ts';
import { freePort } from '../helpers/free-port.ts';
import { PROGRAM } from '../helpers/program.ts';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import { run } from '../helpers/run.ts';
import { endChild } from '../helpers/running-daemon.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { snapshot } from '../helpers/snapshot.ts';
import { makeTree } from '../helpers/tree.ts';
import { hasRoot, systemClient } from '../setup/clients.ts';

const ROOT = join(import.meta.dirname, '../..');
const NODE = process.execPath;
const SAMPLES = ['debian', 'arch-mirror', 'manual-simple', 'manual', 'parts'] as const;

/** What a client asks of each sample: module and options. */
const PULLS: Readonly<Record<(typeof SAMPLES)[number], readonly (readonly [module: string, args: string])[]>> = {
  debian: [
    ['ftp', '-a'],
    ['ftp', '-az'],
  ],
  'arch-mirror': [
    ['packages', '-a'],
    ['packages', '-a --delete'],
    ['iso', '-a'],
    ['packages-auth', '-a'],
    ['old', '-a'],
  ],
  'manual-simple': [['ftp', '-a']],
  manual: [
    ['ftp', '-a'],
    ['images', '-a'],
    ['cvs', '-a'],
  ],
  parts: [
    ['one', '-a'],
    ['two', '-a'],
  ],
};

interface Served {
  readonly child: ChildProcess;
  readonly port: number;
}

/** Starts a command and waits for its greeting on `port`. */
async function serve(command: readonly string[], port: number): Promise<Served> {
  const child = spawn(command[0]!, command.slice(1), { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString('latin1');
  });
  for (let attempt = 0; attempt < 1200 && child.exitCode === null; attempt++) {
    const socket = connect(port, '127.0.0.1');
    const greeting = await once(socket, 'data').catch(() => null);
    socket.destroy();
    if (greeting !== null) return { child, port };
    await delay(25);
  }
  await endChild(child);
  throw new Error(`${command.join(' ')} did not start:\n${log}`);
}

describe.skipIf(!hasRoot())('an rsyncd.conf served by both', () => {
  let dir: string;
  let pulls = 0;
  const startedMs = Date.now() - 1000;

  beforeAll(async () => {
    dir = scratchDir('rsyncd-conf');
    cpSync(join(ROOT, 'test/golden/rsyncd-conf'), dir, { recursive: true });
    for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
      if (!/\.(conf|inc)$/.test(name)) continue;
      const path = join(dir, name);
      // Debian's group of nobody has another name than that of Arch and of the manual.
      const text = readFileSync(path, 'utf8').replace('gid = nobody', 'gid = nogroup');
      writeFileSync(path, text.replaceAll('@DIR@', dir));
    }
    mkdirSync(join(dir, 'pub/iso'), { recursive: true });
    writeFileSync(join(dir, 'motd'), 'Welcome to the mirror.\n');
    writeFileSync(join(dir, 'secrets'), 'tridge:mypass\nsusan:herpass\n', { mode: 0o600 });
    chownSync(join(dir, 'secrets'), 0, 0);
    await makeTree(join(dir, 'pub'), [
      { name: 'pool/a.gz', size: 5000 },
      { name: 'pool/b.tmp', size: 10 },
      { name: 'lost+found/x', size: 10 },
      { name: '.snapshot/y', size: 10 },
      { name: 'iso/image.iso', size: 70_000 },
      { name: 'link', symlink: '/rsyncd-munged//pool/a.gz' },
      { name: 'secret', content: 'x', mode: 0o600 },
      { name: 'owned', content: 'x', uid: 1, gid: 2 },
    ]);
  });

  afterAll(() => removeTree(dir));

  describe.each(SAMPLES)('%s.conf', (sample) => {
    let reference: Served;
    let ours: Served;

    beforeAll(async () => {
      const config = join(dir, `${sample}.conf`);
      const [referencePort, ourPort] = [await freePort(), await freePort()];
      const listen = ['--address=127.0.0.1', `--port=${referencePort}`];
      const [program, ...prefix] = systemClient().command;
      const daemon = [program, ...prefix, '--daemon', '--no-detach', `--config=${config}`, ...listen];
      reference = await serve([...daemon, `--log-file=${dir}/reference.log`], referencePort);
      const flags = ['--daemon', `--config=${config}`, `--gokr.listen=127.0.0.1:${ourPort}`];
      ours = await serve([NODE, PROGRAM, ...flags], ourPort);
    });

    afterAll(async () => {
      for (const served of [reference, ours]) if (served !== undefined) await endChild(served.child);
    });

    it('lists the same modules with the same message of the day', async () => {
      const lists = await Promise.all([reference, ours].map(({ port }) => rsync([`rsync://127.0.0.1:${port}/`])));
      // A module that is switched off is still listed by the reference; nobody can use it, we leave it out.
      expect(lists[1]?.stdout.toString()).toBe(lists[0]?.stdout.toString().replace(/^old .*\n/m, ''));
      expect(lists[1]?.stdout.length).toBeGreaterThan(0);
    });

    it.each(PULLS[sample])('gives the same of %s for %s', async (module, args) => {
      const outcomes = [];
      for (const { port } of [reference, ours]) {
        const target = join(dir, `pull${pulls++}`);
        mkdirSync(target);
        const url = moduleUrl(port, module).replace('//', module === 'cvs' ? '//tridge@' : '//');
        const result = await rsync([...args.split(' '), url, `${target}/`], { env: { RSYNC_PASSWORD: 'mypass' } });
        outcomes.push({ exitCode: result.exitCode, tree: snapshot(target, { startedMs }) });
      }
      const [expected, actual] = outcomes;
      expect(actual?.exitCode).toBe(expected?.exitCode);
      expect(compareSnapshots(expected!.tree, actual!.tree)).toEqual([]);
    });

    it('still serves when its TOML is served instead', async () => {
      const config = join(dir, `${sample}.conf`);
      const converted = await run(NODE, [PROGRAM, '--convert-config', config], { cwd: ROOT });
      expect(converted.exitCode).toBe(0);
      expect(converted.stderr.toString().split('\n').at(-2)).toMatch(/^\/.*\.(conf|inc):\d+: [IDW] /);
      writeFileSync(join(dir, `${sample}.toml`), converted.stdout);
      const port = await freePort();
      const flags = [`--config=${dir}/${sample}.toml`, `--gokr.listen=127.0.0.1:${port}`];
      const served = await serve([NODE, PROGRAM, ...flags], port);
      const lists = await Promise.all([ours, served].map((one) => rsync([`rsync://127.0.0.1:${one.port}/`])));
      await endChild(served.child);
      expect(lists[1]?.stdout.toString()).toBe(lists[0]?.stdout.toString());
    });
  });

  it('is not served at all when a line is refused, and says which', async () => {
    const config = join(dir, 'refused.conf');
    writeFileSync(config, `[pub]\npath = ${dir}/pub\nread only = no\nhosts allow = trusted.example\n`);
    const flags = [PROGRAM, `--config=${config}`, '--gokr.listen=127.0.0.1:0'];
    const result = await run(NODE, flags, { cwd: ROOT, deadlineMs: 20_000 });
    expect(result.exitCode).toBe(1);
    const lines = result.stderr.toString().trimEnd().split('\n');
    expect(lines.map((line) => line.slice(config.length, config.length + 15))).toEqual([
      ':3: read only: ',
      ':4: hosts allow',
    ]);
    const converted = await run(NODE, [PROGRAM, '--convert-config', config], { cwd: ROOT });
    expect(converted.exitCode).toBe(2);
    expect(converted.stdout.toString()).toContain('# [[module]]');
  });
});
