/** A Debian system that really boots systemd, in a container of systemd-nspawn (design.md section 6). */

import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mustRun, type RunResult, run } from '../helpers/run.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';

/** Releases with the oldest and the newest systemd that the units are for. */
export type Release = 'bookworm' | 'trixie';

/** Unpacked systems are kept between runs: making one takes most of a minute. */
export const CACHE = '/var/cache/gokr-rsyncd-tests';
const PACKAGES = 'systemd,systemd-sysv,systemd-container,dbus,iproute2,rsync,libseccomp2';

/** One or two minutes on an idle machine. */
const BASE_MS = 1_200_000;

const BOOT_MS = 120_000;

export interface Machine {
  /** Where the machine's `path` is on this host. */
  at(path: string): string;
  /** Runs a program inside; never rejects for an exit code. */
  run(...command: [string, ...string[]]): Promise<RunResult>;
  /** Standard output of a program that must succeed inside. */
  output(...command: [string, ...string[]]): Promise<string>;
  stop(): Promise<void>;
}

/** The unpacked system that machines of `release` are copies of; made when it is not there. */
export async function baseOf(release: Release): Promise<string> {
  // Another list of packages is another system.
  const base = join(CACHE, `${release}-${createHash('sha256').update(PACKAGES).digest('hex').slice(0, 8)}`);
  if (existsSync(base)) return base;
  mkdirSync(CACHE, { recursive: true });
  const unfinished = `${base}.${process.pid}`;
  // An interrupted base is thrown away: nothing has to reach the disk before the rest.
  const options = ['--variant=minbase', '--dpkgopt=force-unsafe-io', `--include=${PACKAGES}`];
  await mmdebstrap([...options, release, unfinished]);
  renameSync(unfinished, base);
  return base;
}

/** In a mount namespace of its own: one that is cut off leaves no /proc and /sys mounted in what it was making. */
export async function mmdebstrap(args: readonly string[]): Promise<void> {
  await mustRun('unshare', ['--mount', 'mmdebstrap', ...args], { deadlineMs: BASE_MS });
}

/** The container's first process: the only child that nspawn keeps. */
function initOf(nspawn: ChildProcess): string | null {
  const task = `/proc/${nspawn.pid}/task`;
  if (nspawn.exitCode !== null || !existsSync(task)) throw new Error('systemd-nspawn has ended');
  const children = readdirSync(task).flatMap((id) => readFileSync(join(task, id, 'children'), 'utf8').split(' '));
  return children.find((id) => id !== '') ?? null;
}

/** Boots a fresh copy of `release`; resolves when systemd says that it is up. */
export async function bootMachine(release: Release): Promise<Machine> {
  const base = await baseOf(release);
  const scratch = scratchDir('machine', '/var/tmp');
  const top = join(scratch, 'root');
  await mustRun('cp', ['--archive', '--reflink=auto', base, top]);
  const name = `gokr${process.pid}${release}`;
  const options = ['--boot', '--register=no', '--keep-unit', '--private-network', '--console=read-only', '--quiet'];
  const nspawn = spawn('systemd-nspawn', ['-D', top, ...options, '-M', name], { stdio: 'ignore' });
  const inside = async (...command: [string, ...string[]]) => {
    const init = initOf(nspawn);
    if (init === null) return { exitCode: 1, stdout: Buffer.alloc(0), stderr: Buffer.from('not booted yet') };
    return run('nsenter', ['-t', init, '-a', ...command]);
  };
  const stop = async () => {
    if (nspawn.exitCode === null && nspawn.signalCode === null) {
      const ended = once(nspawn, 'exit');
      // nspawn asks the system inside to shut down.
      nspawn.kill('SIGTERM');
      const timer = setTimeout(() => nspawn.kill('SIGKILL'), 20_000);
      await ended;
      clearTimeout(timer);
    }
    removeTree(scratch);
  };
  await booted(inside).catch(async (error) => {
    await stop();
    throw error;
  });
  return {
    at: (path) => join(top, path),
    run: inside,
    output: async (...command) => {
      const { exitCode, stdout, stderr } = await inside(...command);
      if (exitCode === 0) return stdout.toString();
      throw new Error(`${command.join(' ')} ended with ${exitCode}: ${stdout}${stderr}`);
    },
    stop,
  };
}

async function booted(inside: (...command: [string, ...string[]]) => Promise<RunResult>): Promise<void> {
  const deadline = Date.now() + BOOT_MS;
  for (;;) {
    const state = (await inside('systemctl', 'is-system-running')).stdout.toString().trim();
    if (state === 'running' || state === 'degraded') return;
    if (Date.now() > deadline) throw new Error(`the machine did not boot: ${state}`);
    await sleep(200);
  }
}
