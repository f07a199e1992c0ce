/** The image as the Dockerfile builds it, under a Docker that really runs. */

import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buildOci } from '../../deploy/build/oci.ts';
import { randomBytesOf } from '../helpers/content.ts';
import { HOSTILE_PROBE, notDenied, PROBE_ATTEMPTS, probeOutcomes } from '../helpers/hostile-probe.ts';
import { mustRun } from '../helpers/run.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import type { LogLine } from '../session/support/server.ts';
import { PROJECT, released } from './build.ts';
import { type DockerHost, startDocker } from './docker.ts';

const IMAGE = 'gokr-rsyncd';

/** The flags of deploy/compose.yaml and of the README's hardened command. */
const HARDENED = [
  ...['--read-only', '--cap-drop=ALL', '--security-opt', 'no-new-privileges'],
  ...['--security-opt', `seccomp=${PROJECT}/deploy/seccomp.json`],
  ...['--pids-limit', '32', '--memory', '256m', '--ipc', 'none'],
];
const PLAIN = ['--read-only'];

const README = readFileSync(join(PROJECT, 'README.md'), 'utf8');

const scratch = scratchDir('docker-test', '/var/tmp');
const tree = join(scratch, 'pub');
let docker: DockerHost;

beforeAll(async () => {
  mkdirSync(join(tree, 'sub'), { recursive: true });
  writeFileSync(join(tree, 'file'), 'hello\n');
  writeFileSync(join(tree, 'sub/big'), randomBytesOf('big', 5_000_000));
  docker = await startDocker();
  const archive = released(/\.oci\.tar$/);
  if (archive === null) await docker.output('build', '--network=host', '--tag', IMAGE, PROJECT);
  else await docker.output('tag', await load(archive), IMAGE);
});
/** @returns the name that the image has after that. */
async function load(archive: string): Promise<string> {
  const name = /Loaded image: (\S+)/.exec(await docker.output('load', '--input', archive))?.[1];
  if (name === undefined) throw new Error('docker load has named no image');
  return name;
}

afterAll(async () => {
  await docker?.stop();
  removeTree(scratch);
});
afterEach(async () => {
  const ids = (await docker.output('ps', '--all', '--quiet')).split('\n').filter(Boolean);
  if (ids.length > 0) await docker.output('rm', '--force', ...ids);
});

/** What the image runs by itself, and more. */
const STRICT = ['--daemon', '--gokr.listen=[::]:8730', '--modules-in=/modules', '--require-sandbox=strict'];

/** Lines of a container's log that are the daemon's own. */
async function log(id: string): Promise<LogLine[]> {
  const { stdout, stderr } = await docker.run('logs', id);
  const lines = `${stdout}${stderr}`.split('\n').filter((line) => line.startsWith('{"level"'));
  return lines.map((line) => JSON.parse(line) as LogLine);
}

/** Waits for the daemon's own word: the image's health check comes only after half a minute. */
async function listening(id: string): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    if ((await log(id)).some(({ msg }) => msg === 'listening')) return;
    await sleep(200);
  }
  throw new Error('does not listen');
}

/** Starts a container that serves the tree. @returns its id and a URL of the module. */
async function start(
  flags: readonly string[],
  more: readonly string[] = [],
  { image = IMAGE, args = [] }: { image?: string; args?: readonly string[] } = {},
): Promise<{ id: string; url: string }> {
  const publish = ['--publish', '127.0.0.1::8730'];
  const volume = more.includes(`${tree}:/modules/pub`) ? [] : ['--volume', `${tree}:/modules/pub:ro`];
  const id = await docker.output('run', '--detach', ...flags, ...publish, ...volume, ...more, image, ...args);
  return { id, url: await urlOf(id) };
}

async function urlOf(id: string): Promise<string> {
  return `rsync://${(await docker.output('port', id, '8730')).split('\n')[0]!}/pub/`;
}

/** A real client copies the tree from a container. */
async function pullsTree(id: string, options: readonly string[] = ['-a']): Promise<void> {
  const copy = join(scratch, `copy-${id}`);
  await mustRun('rsync', [...options, await urlOf(id), copy]);
  await mustRun('diff', ['-r', tree, copy]);
}

/** Asks until the container's state is `wanted`; its own log says why when it never is. */
async function state(id: string, format: string, wanted: string): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    if ((await docker.output('inspect', '--format', format, id)) === wanted) return;
    await sleep(200);
  }
  const { stdout, stderr } = await docker.run('logs', id);
  throw new Error(
    `not ${wanted}: ${await docker.output('inspect', '--format', '{{json .State}}', id)}\n${stdout}${stderr}`,
  );
}

const HEALTHY = ['{{.State.Health.Status}}', 'healthy'] as const;
/** The image's own check, only sooner. */
const OFTEN = ['--health-interval', '1s'];

describe.each([
  ['all locks on', HARDENED],
  ['--read-only alone', PLAIN],
])('a container with %s', (_title, flags) => {
  it('becomes healthy, and a real client pulls a tree', async () => {
    const { id } = await start(flags, OFTEN);
    await state(id, ...HEALTHY);
    for (const options of [['-a'], ['-az', '--ignore-times'], ['-aHc']]) await pullsTree(id, options);
  });

  it('runs as uid and gid 65534 without a capability', async () => {
    const { id } = await start(flags, OFTEN);
    await state(id, ...HEALTHY);
    const pid = await docker.output('inspect', '--format', '{{.State.Pid}}', id);
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
    expect(status).toMatch(/^Gid:\t65534\t65534\t65534\t65534$/m);
    expect(status).toMatch(/^CapEff:\t0{16}$/m);
    expect(status).toMatch(/^Seccomp:\t2$/m);
  });

  it('ends within its grace when it is stopped', async () => {
    const { id } = await start(flags, OFTEN);
    await state(id, ...HEALTHY);
    await docker.output('stop', '--time', '30', id);
    expect(await docker.output('inspect', '--format', '{{.State.ExitCode}}', id)).toBe('0');
  });
});

describe('a container with all locks on', () => {
  it('holds every guarantee, Landlock among them', async () => {
    const { id } = await start(HARDENED, OFTEN, { args: STRICT });
    await state(id, ...HEALTHY);
    await pullsTree(id);
    const rows = (await log(id)).filter(({ guarantee }) => guarantee !== undefined);
    expect(rows.filter(({ msg }) => msg !== 'sandbox: holds')).toEqual([]);
    expect(rows.map(({ guarantee }) => guarantee)).toEqual(expect.arrayContaining(['landlock', 'no sockets']));
  });

  describe('and a hostile program', () => {
    const attackers = join(tree, 'probe.mjs');
    beforeAll(() => cpSync(HOSTILE_PROBE, attackers));
    afterAll(() => rmSync(attackers));
    const flags = (variables: Readonly<Record<string, string>>): string[] =>
      Object.entries(variables).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
    const denied = (output: Buffer, allowed: readonly string[] = []): void => {
      const seen = probeOutcomes(output.toString());
      expect(notDenied(seen, allowed)).toEqual([]);
      expect(seen.size).toBeGreaterThanOrEqual(PROBE_ATTEMPTS);
    };

    it('in the place of the daemon: each attempt is denied', async () => {
      const config = join(scratch, 'probed.toml');
      // FFI stays for a module with extended attributes: the probe needs it.
      writeFileSync(config, 'workers = 1\n[[module]]\nname = "own"\npath = "/modules/pub"\nxattrs = true\n');
      const variables = { PROBE_MODULE: '/modules/pub', PROBE_PORT: '9', PROBE_VICTIM: '999' };
      const env = flags({ ...variables, NODE_OPTIONS: '--import=/modules/pub/probe.mjs' });
      const { id } = await start(HARDENED, [...OFTEN, ...env, '--volume', `${config}:/etc/gokr-rsyncd.toml:ro`]);
      await state(id, ...HEALTHY);
      denied((await docker.run('logs', id)).stderr);
    });

    it('beside the daemon: sees it and reaches the network as it does, and can do nothing to either', async () => {
      const { id } = await start(HARDENED, OFTEN);
      await state(id, ...HEALTHY);
      const variables = { PROBE_MODULE: '/modules/pub', PROBE_PORT: '9', PROBE_VICTIM: '1', PROBE_FIRST_STAGE: '1' };
      const { stderr } = await docker.run('exec', ...flags(variables), id, '/bin/node', '/modules/pub/probe.mjs');
      const sees = ['list /', 'list other processes', 'look into another process'];
      const speaks = ['connect out', 'listen on a new port', 'send a datagram', 'open a socket by hand'];
      denied(stderr, [...sees, ...speaks]);
      await state(id, '{{.State.Running}}', 'true');
    });
  });
});

describe('a volume that the container may write', () => {
  beforeAll(() => chmodSync(tree, 0o777));
  afterAll(() => chmodSync(tree, 0o755));

  it('is served where Landlock keeps the daemon from writing', async () => {
    const { id } = await start(HARDENED, [...OFTEN, '--volume', `${tree}:/modules/pub`]);
    await state(id, ...HEALTHY);
    await pullsTree(id);
    expect(await log(id)).toContainEqual(
      expect.objectContaining({ guarantee: 'modules read-only', msg: 'sandbox: holds' }),
    );
  });

  it('is refused where nothing does', async () => {
    const id = await docker.output(
      ...['run', '--detach', ...PLAIN, '--volume', `${tree}:/modules/pub`],
      ...['--env', 'NODE_OPTIONS=--no-experimental-ffi', IMAGE],
    );
    await state(id, '{{.State.Status}} {{.State.ExitCode}}', 'exited 1');
    const { stdout, stderr } = await docker.run('logs', id);
    expect(`${stdout}${stderr}`).toMatch(/module "pub": .*\/modules\/pub is writable/);
  });
});

describe('the image', () => {
  it('holds the minimal root and nothing else, for an ordinary user, with a health check in exec form', async () => {
    const { Config } = JSON.parse(await docker.output('inspect', IMAGE))[0];
    expect(Config.User).toBe('65534:65534');
    expect(Config.Healthcheck.Test.slice(0, 2)).toEqual(['CMD', '/bin/node']);
    const id = await docker.output('create', IMAGE);
    const archive = join(scratch, 'image.tar');
    await docker.output('export', '--output', archive, id);
    const names = (await mustRun('tar', ['--list', '--file', archive])).stdout.toString().split('\n');
    expect(names.filter((name) => /(^|\/)(s?bin|usr\/s?bin)\/./.test(name))).toEqual(['bin/node']);
  });
});

describe('the OCI archive', () => {
  it('is the same image, made without Docker', async () => {
    const name = await load(released(/\.oci\.tar$/) ?? (await buildOci(scratch)));
    const configs = [IMAGE, name].map(async (image) => JSON.parse(await docker.output('inspect', image))[0].Config);
    const [built, loaded] = await Promise.all(configs);
    for (const key of ['User', 'ExposedPorts', 'Entrypoint', 'Cmd', 'StopSignal', 'Labels', 'Healthcheck']) {
      expect(loaded[key], key).toEqual(built[key]);
    }
    const { id } = await start(HARDENED, OFTEN, { image: name });
    await state(id, ...HEALTHY);
    await pullsTree(id);
  });
});

/** A command of the README with this test's directory, and a port that the machine chooses. */
function readmeCommand(program: string): string[] {
  const line = new RegExp(`^# (${program} .*)$`, 'm').exec(README)![1]!;
  return line.replace('-p 873:', '-p 127.0.0.1::').replace('/srv/pub', tree).split(' ').slice(1);
}

describe("the README's command", () => {
  it('serves the directory that it names, and logs what the README shows', async () => {
    const [run, ...args] = readmeCommand('docker run');
    const id = await docker.output(run!, '--detach', ...OFTEN, ...args);
    await state(id, ...HEALTHY);
    await pullsTree(id);
    const said = ({ msg, guarantee, listener }: LogLine): string => JSON.stringify({ msg, guarantee, listener });
    const shown = README.slice(README.indexOf('# docker run'))
      .split('```')[0]!
      .match(/^\{.*\}$/gm)!;
    expect(shown.length).toBeGreaterThanOrEqual(3);
    const logged = (await log(id)).map(said);
    expect(shown.map((line) => said(JSON.parse(line))).filter((line) => !logged.includes(line))).toEqual([]);
  });
});

describe('compose.yaml', () => {
  afterAll(() => compose('down'));

  it('starts a service that serves the directory that it names, and ends within its grace', async () => {
    await compose('up', '--detach', '--no-build');
    const id = await compose('ps', '--quiet');
    await listening(id);
    await pullsTree(id);
    await compose('stop');
    await state(id, '{{.State.Status}} {{.State.ExitCode}}', 'exited 0');
  });

  const compose = (...args: string[]): Promise<string> => docker.compose(composeFile(), join(PROJECT, 'deploy'), args);
});

/** The shipped file with this test's directory, a port that the machine chooses, and no more open files than this machine allows. */
function composeFile(): string {
  const hard = Number(/^Max open files +\d+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))![1]);
  const text = readFileSync(join(PROJECT, 'deploy/compose.yaml'), 'utf8')
    .replace('"873:8730"', '"127.0.0.1::8730"')
    .replace('source: /srv/pub', `source: ${tree}`)
    .replace('nofile: 65536', `nofile: ${Math.min(65_536, hard)}`);
  const file = join(scratch, 'compose.yaml');
  writeFileSync(file, text);
  return file;
}
