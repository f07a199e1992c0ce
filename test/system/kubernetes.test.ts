/**
 * deploy/fleet/kubernetes.yaml, played by podman: the pods of a Deployment with the restrictions, volumes and configuration of the
 * very file. No cluster: nobody asks the probes, does the rolling update or is the Service, so the tests ask what these would.
 */

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
import { type PodmanHost, startPodman } from './podman.ts';

const FILE = join(PROJECT, 'deploy/fleet/kubernetes.yaml');
const REPLICAS = 3;
const FETCH = 'fetch(process.argv[1]).then((answer) => answer.text()).then((text) => process.stdout.write(text))';

const scratch = scratchDir('kubernetes', '/var/tmp');
const tree = join(scratch, 'pub');
let podman: PodmanHost;

beforeAll(async () => {
  mkdirSync(join(tree, 'sub'), { recursive: true });
  writeFileSync(join(tree, 'file'), 'hello\n');
  writeFileSync(join(tree, 'sub/big'), randomBytesOf('big', 5_000_000));
  const archive = released(/\.oci\.tar$/) ?? (await buildOci(scratch));
  podman = await startPodman();
  await podman.output('load', '--input', archive);
  // The claim of the file.
  await podman.output('volume', 'create', '--opt=type=none', '--opt=o=bind', `--opt=device=${tree}`, 'pub');
});
afterEach(() => podman.output('pod', 'rm', '--force', '--all'));
afterAll(async () => {
  await podman?.stop();
  removeTree(scratch);
});

interface Pod {
  readonly name: string;
  readonly container: string;
  readonly address: string;
}

/** Plays a file. @returns its pods. */
async function play(file: string): Promise<Pod[]> {
  await podman.play(file);
  const names = (await podman.output('pod', 'ps', '--format={{.Name}}', '--sort=name')).split('\n');
  return Promise.all(
    names.map(async (name) => {
      const infra = await podman.output('pod', 'inspect', '--format={{.InfraContainerID}}', name);
      const [{ NetworkSettings }] = JSON.parse(await podman.output('inspect', infra));
      return { name, container: `${name}-gokr-rsyncd`, address: NetworkSettings.Networks.pods.IPAddress };
    }),
  );
}

/** What the monitoring listener of a pod answers. */
async function ask({ address }: Pod, path: string): Promise<string> {
  const url = `http://${address}:8738${path}`;
  return (await podman.beside(process.execPath, '--eval', FETCH, url)).stdout.toString().trim();
}

async function becomesReady(pod: Pod): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    if ((await ask(pod, '/readyz')) === 'ready') return;
    await sleep(200);
  }
  throw new Error(`${pod.name} is not ready: ${await podman.both('logs', pod.container)}`);
}

async function pull({ address, name }: Pod): Promise<void> {
  const copy = join(scratch, `copy-${name}`);
  const { exitCode, stderr } = await podman.beside('rsync', '-a', `rsync://${address}:8730/pub/`, copy);
  expect([exitCode, stderr.toString()]).toEqual([0, '']);
  await mustRun('diff', ['-r', tree, copy]);
  removeTree(copy);
}

/** Lines of a pod's log with a row of the sandbox table. */
async function sandboxTable({ container }: Pod): Promise<LogLine[]> {
  const lines = (await podman.both('logs', container)).split('\n').filter((line) => line.startsWith('{"level"'));
  return lines.map((line) => JSON.parse(line) as LogLine).filter(({ guarantee }) => guarantee !== undefined);
}

describe('kubernetes.yaml', () => {
  it('starts pods that become ready, serve real clients under each restriction of the file, and end within their grace', async () => {
    const pods = await play(FILE);
    expect(pods).toHaveLength(REPLICAS);
    for (const pod of pods) {
      await becomesReady(pod);
      expect(await ask(pod, '/healthz')).toBe('ok');
      await pull(pod);
      const rows = await sandboxTable(pod);
      expect(rows.filter(({ msg }) => msg !== 'sandbox: holds')).toEqual([]);
      expect(rows.map(({ guarantee }) => guarantee)).toEqual(
        expect.arrayContaining(['landlock', 'seccomp', 'no sockets', 'modules read-only']),
      );
    }
    await isRestricted(pods[0]!);
    const [first, ...others] = pods;
    await podman.output('pod', 'stop', '--time=60', first!.name);
    expect(await podman.output('inspect', '--format={{.State.ExitCode}}', first!.container)).toBe('0');
    for (const pod of others) await pull(pod);
    await podman.output('kube', 'down', FILE);
    expect(await podman.output('ps', '--all', '--quiet')).toBe('');
  });

  it('gives a hostile program in the place of the daemon nothing: each attempt is denied', async () => {
    cpSync(HOSTILE_PROBE, join(tree, 'probe.mjs'));
    const [pod] = await play(probed());
    await becomesReady(pod!);
    rmSync(join(tree, 'probe.mjs'));
    const seen = probeOutcomes(await podman.both('logs', pod!.container));
    expect(notDenied(seen)).toEqual([]);
    expect(seen.size).toBeGreaterThanOrEqual(PROBE_ATTEMPTS);
  });
});

/** What the file's securityContext, resources and volumeMounts say, as the kernel has it. */
async function isRestricted({ container }: Pod): Promise<void> {
  const [{ State, HostConfig }] = JSON.parse(await podman.output('inspect', container));
  const status = readFileSync(`/proc/${State.Pid}/status`, 'utf8');
  expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
  expect(status).toMatch(/^Gid:\t65534\t65534\t65534\t65534$/m);
  expect(status).toMatch(/^CapEff:\t0{16}$/m);
  expect(status).toMatch(/^CapBnd:\t0{16}$/m);
  expect(status).toMatch(/^NoNewPrivs:\t1$/m);
  // The runtime's filter, and the daemon's own.
  expect(status).toMatch(/^Seccomp_filters:\t2$/m);
  expect(HostConfig.Memory).toBe(512 * 1024 ** 2);
  const mounts = readFileSync(`/proc/${State.Pid}/mounts`, 'utf8');
  for (const point of ['/', '/modules/pub', '/etc/gokr-rsyncd']) {
    expect(mounts).toMatch(new RegExp(`^\\S+ ${point} \\S+ ro,`, 'm'));
  }
}

/** One pod of the file with a program loaded into the daemon; FFI stays for a module with extended attributes: the probe needs it. */
function probed(): string {
  const probe = { PROBE_MODULE: '/modules/pub', PROBE_PORT: '9', PROBE_VICTIM: '999' };
  const variables = { ...probe, NODE_OPTIONS: '--import=/modules/pub/probe.mjs' };
  const env = Object.entries(variables).map(([name, value]) => ({ name, value }));
  const changed = readFileSync(FILE, 'utf8')
    .replace(`replicas: ${REPLICAS}`, 'replicas: 1')
    .replace('toml: |\n', 'toml: |\n    workers = 1\n')
    .replace('path = "/modules/pub"\n', 'path = "/modules/pub"\n    xattrs = true\n')
    .replace('          ports:\n', `          env: ${JSON.stringify(env)}\n          ports:\n`);
  const file = join(scratch, 'probed.yaml');
  writeFileSync(file, changed);
  return file;
}
