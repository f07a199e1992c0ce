/** Podman with its state in a scratch directory, and pods in a network of their own that nothing outside reaches. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RunResult, run } from '../helpers/run.ts';
import { endChild } from '../helpers/running-daemon.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { mountsBelow } from './docker.ts';

const NETWORK = 'pods';
const DEADLINE_MS = 120_000;

/** Podman gives itself 32768 at most, and its containers 1048576 where nothing is said. */
const MAX_PROCESSES = 4096;

export interface PodmanHost {
  /** Standard output of a command that must succeed, without the last line feed. */
  output(...args: string[]): Promise<string>;
  /** Standard output and standard error together: what a container's log is. */
  both(...args: string[]): Promise<string>;
  /** Starts what a Kubernetes file says. */
  play(file: string): Promise<void>;
  /** Runs a program where it reaches the pods by their addresses. */
  beside(program: string, ...args: string[]): Promise<RunResult>;
  /** Removes all pods and what podman keeps. */
  stop(): Promise<void>;
}

export async function startPodman(): Promise<PodmanHost> {
  const dir = scratchDir('podman', '/var/tmp');
  configure(dir);
  const network = await networkNamespace();
  const inside = ['nsenter', `--net=/proc/${network.pid}/ns/net`];
  const places = ['--root', join(dir, 'root'), '--runroot', join(dir, 'run'), '--tmpdir', join(dir, 'tmp')];
  const podman = ['podman', ...places, '--storage-driver=overlay'];
  const execute = ([program, ...args]: readonly string[]): Promise<RunResult> =>
    run(program!, args, { deadlineMs: DEADLINE_MS, env: { CONTAINERS_CONF: join(dir, 'containers.conf'), HOME: dir } });
  const must = async (command: readonly string[]): Promise<RunResult> => {
    const result = await execute(command);
    if (result.exitCode === 0) return result;
    throw new Error(`${command.join(' ')} ended with ${result.exitCode}: ${result.stdout}${result.stderr}`);
  };
  return {
    output: async (...args) => (await must([...podman, ...args])).stdout.toString().trimEnd(),
    both: async (...args) => {
      const { stdout, stderr } = await must([...podman, ...args]);
      return `${stdout}${stderr}`;
    },
    play: async (file) => void (await must([...inside, ...podman, 'kube', 'play', `--network=${NETWORK}`, file])),
    beside: (program, ...args) => execute([...inside, program, ...args]),
    stop: async () => {
      await execute([...podman, 'pod', 'rm', '--force', '--all']);
      await endChild(network);
      removeTree(dir, mountsBelow(dir));
    },
  };
}

/** A process that only holds a name space; the pods' bridge goes with it. */
async function networkNamespace(): Promise<ChildProcess> {
  const holder = spawn('unshare', ['--net', 'sh', '-c', 'echo; exec sleep infinity'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  return holder;
}

/** A bridge without addresses of the host's: each pod has its own address, as in a cluster, so no port is taken twice. */
function configure(dir: string): void {
  const files = /^Max open files +\d+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))![1]!;
  const limits = [`nofile=${files}:${files}`, `nproc=${MAX_PROCESSES}:${MAX_PROCESSES}`];
  const lines = [
    ...['[containers]', `default_ulimits = ${JSON.stringify(limits)}`],
    // crun of Debian 12 refuses a machine with both versions of cgroups.
    ...['[engine]', 'runtime = "runc"', 'cgroup_manager = "cgroupfs"', 'events_logger = "file"'],
    'enable_port_reservation = false',
    ...['[network]', 'network_backend = "cni"', `network_config_dir = "${dir}/cni"`, `default_network = "${NETWORK}"`],
  ];
  writeFileSync(join(dir, 'containers.conf'), `${lines.join('\n')}\n`);
  const ipam = { type: 'host-local', dataDir: join(dir, 'addresses'), ranges: [[{ subnet: '10.87.0.0/24' }]] };
  const bridge = { type: 'bridge', bridge: 'pods0', isGateway: true, ipam };
  mkdirSync(join(dir, 'cni'));
  writeFileSync(
    join(dir, 'cni', `${NETWORK}.conflist`),
    JSON.stringify({ cniVersion: '0.4.0', name: NETWORK, plugins: [bridge] }),
  );
}
