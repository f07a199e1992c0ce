/** The image as the Dockerfile builds it, under a Docker that really runs. */

import { chmodSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
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

/** Errors that say no; anything else would be an accident of the probe. */
const DENIED = /^(EPERM|EACCES|EROFS|ENOENT|denied)$/;

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

/** Starts a container that serves the tree. @returns its id and a URL of the module. */
async function start(
  flags: readonly string[],
  more: readonly string[] = [],
  { image = IMAGE, args = [] }: { image?: string; args?: readonly string[] } = {},
): Promise<{ id: string; url: string }> {
  const publish = ['--publish', '127.0.0.1::8730'];
  const volume = more.includes(`${tree}:/modules/pub`) ? [] : ['--volume', `${tree}:/modules/pub:ro`];
  const id = await docker.output('run', '--detach', ...flags, ...publish, ...volume, ...more, image, ...args);
  const address = (await docker.output('port', id, '8730')).split('\n')[0]!;
  return { id, url: `rsync://${address}/pub/` };
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
    const { id, url } = await start(flags, OFTEN);
    await state(id, ...HEALTHY);
    const copy = join(scratch, `copy-${id}`);
    for (const options of [['-a'], ['-az', '--ignore-times'], ['-aHc']])
      await mustRun('rsync', [...options, url, copy]);
    await mustRun('diff', ['-r', tree, copy]);
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
    const { id, url } = await start(HARDENED, OFTEN, { args: STRICT });
    await state(id, ...HEALTHY);
    await mustRun('rsync', ['-a', url, join(scratch, `strict-${id}`)]);
    const rows = (await log(id)).filter(({ guarantee }) => guarantee !== undefined);
    expect(rows.filter(({ msg }) => msg !== 'sandbox: holds')).toEqual([]);
    expect(rows.map(({ guarantee }) => guarantee)).toEqual(expect.arrayContaining(['landlock', 'no sockets']));
  });

  it('gives a hostile program in the place of the daemon nothing: each attempt is denied', async () => {
    const config = join(scratch, 'probed.toml');
    // FFI stays for a module with extended attributes: the probe needs it.
    writeFileSync(config, 'workers = 1\n[[module]]\nname = "own"\npath = "/modules/pub"\nxattrs = true\n');
    cpSync(HOSTILE_PROBE, join(tree, 'probe.mjs'));
    const probe = { MODULE: '/modules/pub', PORT: '9', VICTIM: '999' };
    const env = Object.entries(probe).flatMap(([name, value]) => ['--env', `PROBE_${name}=${value}`]);
    const load = ['--env', 'NODE_OPTIONS=--import=/modules/pub/probe.mjs'];
    const volume = ['--volume', `${config}:/etc/gokr-rsyncd.toml:ro`];
    const { id } = await start(HARDENED, [...OFTEN, ...env, ...load, ...volume]);
    await state(id, ...HEALTHY);
    rmSync(join(tree, 'probe.mjs'));
    const { stderr } = await docker.run('logs', id);
    const seen = probeOutcomes(stderr.toString());
    expect(notDenied(seen)).toEqual([]);
    expect(seen.size).toBeGreaterThanOrEqual(PROBE_ATTEMPTS);
  });
});

describe('a volume that the container may write', () => {
  beforeAll(() => chmodSync(tree, 0o777));
  afterAll(() => chmodSync(tree, 0o755));

  it('is served where Landlock keeps the daemon from writing', async () => {
    const { id, url } = await start(HARDENED, [...OFTEN, '--volume', `${tree}:/modules/pub`]);
    await state(id, ...HEALTHY);
    await mustRun('rsync', ['-a', url, join(scratch, `writable-${id}`)]);
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
    const { id, url } = await start(HARDENED, OFTEN, { image: name });
    await state(id, ...HEALTHY);
    const copy = join(scratch, 'copy-oci');
    await mustRun('rsync', ['-a', url, copy]);
    await mustRun('diff', ['-r', tree, copy]);
  });
});

describe('a hostile program in the place of the daemon', () => {
  it('is denied everything with all locks on', async () => {
    const { id } = await start(HARDENED, OFTEN);
    await state(id, ...HEALTHY);
    const probe = await readFile(join(import.meta.dirname, 'probe.ts'), 'utf8');
    const node = ['/bin/node', '--input-type=module-typescript', '--disable-warning=ExperimentalWarning', '-'];
    const { processes, ...outcomes } = JSON.parse(await docker.pipe(probe, 'exec', '--interactive', id, ...node));
    const allowed = Object.entries(outcomes).filter(([, outcome]) => !DENIED.test(String(outcome)));
    expect(Object.keys(outcomes).length).toBeGreaterThanOrEqual(14);
    expect(allowed).toEqual([]);
    // The daemon, the probe and perhaps a health check.
    expect(processes).toBeLessThanOrEqual(3);
    await state(id, '{{.State.Running}}', 'true');
  });
});
