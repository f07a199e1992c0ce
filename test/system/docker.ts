/** A Docker daemon of the tests' own, with its state in a scratch directory, and the base image that the Dockerfile starts from. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunResult, run } from '../helpers/run.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { CACHE, mmdebstrap } from './machine.ts';

/** Debian's own client: another one in PATH may want a builder that is not installed. */
const CLIENT = existsSync('/usr/bin/docker') ? '/usr/bin/docker' : 'docker';

/** The name that the Dockerfile's first stage has. */
const BASE_IMAGE = 'debian:bookworm-slim';

/** What the first stage installs, several hundred packages behind npm, is there already: it costs the network once, not each time. */
const BASE_PACKAGES = 'ca-certificates,libatomic1,npm';

/** Certificates that this machine trusts, a registry's or a proxy's among them. */
const TRUSTED = '/etc/ssl/certs/ca-certificates.crt';

const START_MS = 60_000;

export interface DockerHost {
  run(...args: string[]): Promise<RunResult>;
  /** Standard output of a command that must succeed, without the last line feed. */
  output(...args: string[]): Promise<string>;
  /** Standard output of docker-compose, which must succeed, without the last line feed. @param directory what the file's paths are relative to. */
  compose(file: string, directory: string, args: readonly string[]): Promise<string>;
  /** Removes all containers and ends the daemon. */
  stop(): Promise<void>;
}

/** Starts dockerd and gives it the base image; resolves when it answers. */
export async function startDocker(): Promise<DockerHost> {
  const dir = scratchDir('docker', '/var/tmp');
  const log = join(dir, 'log');
  const socket = `unix://${dir}/docker.sock`;
  const places = ['--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec'), '--pidfile', join(dir, 'pid')];
  const daemon = spawn('dockerd', ['--storage-driver=overlay2', ...places, '--host', socket, '--group', 'root'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [daemon.stdout, daemon.stderr]) stream.pipe(createWriteStream(log, { flags: 'a' }));
  // The builder that needs no plugin.
  const options = { deadlineMs: 600_000, env: { DOCKER_BUILDKIT: '0', HOME: dir, DOCKER_HOST: socket } };
  const docker = (args: readonly string[]): Promise<RunResult> => run(CLIENT, args, options);
  const output = async (program: string, args: readonly string[], cwd = dir): Promise<string> => {
    const { exitCode, stdout, stderr } = await run(program, args, { ...options, cwd });
    if (exitCode === 0) return stdout.toString().trimEnd();
    throw new Error(`${program} ${args.join(' ')} ended with ${exitCode}: ${stdout}${stderr}`);
  };
  const stop = async (): Promise<void> => {
    const ids = (await docker(['ps', '--all', '--quiet'])).stdout.toString().split('\n').filter(Boolean);
    if (ids.length > 0) await docker(['rm', '--force', ...ids]);
    await ended(daemon);
    removeTree(dir, mountsBelow(dir));
  };
  try {
    await answers(daemon, log, () => docker(['info']));
    await output(CLIENT, ['import', await baseTar(), BASE_IMAGE]);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    run: (...args) => docker(args),
    output: (...args) => output(CLIENT, args),
    compose: (file, directory, args) =>
      output('docker-compose', ['--file', file, '--project-directory', directory, ...args], directory),
    stop,
  };
}

/** What a daemon or podman leaves mounted below its directory: storage, a file that stands for a network name space. Deepest first. */
export function mountsBelow(dir: string): string[] {
  const points = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '');
  return points
    .filter((point) => point.startsWith(`${dir}/`))
    .sort()
    .reverse();
}

async function answers(daemon: ChildProcess, log: string, ask: () => Promise<RunResult>): Promise<void> {
  const deadline = Date.now() + START_MS;
  while ((await ask()).exitCode !== 0) {
    if (daemon.exitCode !== null || Date.now() > deadline) {
      throw new Error(`dockerd does not answer:\n${readFileSync(log, 'utf8').slice(-4000)}`);
    }
    await sleep(200);
  }
}

async function ended(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const exit = once(daemon, 'exit');
  // It ends its containerd as well.
  daemon.kill('SIGTERM');
  const timer = setTimeout(() => daemon.kill('SIGKILL'), 30_000);
  await exit;
  clearTimeout(timer);
}

/** A Debian root with the packages of the first stage, as a tar file that is kept between runs. */
export async function baseTar(): Promise<string> {
  const tar = join(CACHE, 'docker-bookworm.tar');
  if (existsSync(tar)) return tar;
  mkdirSync(CACHE, { recursive: true });
  const trust = [
    `copy-in ${TRUSTED} /usr/local/share/ca-certificates`,
    'chroot "$1" update-ca-certificates >/dev/null 2>&1',
  ].flatMap((hook) => ['--customize-hook', hook]);
  const unfinished = `${tar}.${process.pid}.tar`;
  const documents = ['/usr/share/man/*', '/usr/share/doc/*'].map((path) => `--dpkgopt=path-exclude=${path}`);
  const quick = ['--dpkgopt=force-unsafe-io', ...documents, '--dpkgopt=path-include=/usr/share/doc/*/copyright'];
  const options = ['--variant=minbase', ...quick, `--include=${BASE_PACKAGES}`, ...(existsSync(TRUSTED) ? trust : [])];
  await mmdebstrap([...options, 'bookworm', unfinished]);
  renameSync(unfinished, tar);
  return tar;
}
