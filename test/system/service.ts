/** The shipped units inside a machine: installs them, changes their configuration, asks how they are. */

import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../helpers/run.ts';
import { PROJECT, ROOT } from './build.ts';
import type { Machine } from './machine.ts';

const SERVICE = 'gokr-rsyncd.service';
const SOCKET = 'gokr-rsyncd.socket';
const DROPINS = `/etc/systemd/system/${SERVICE}.d`;
const INSTALLED = '/usr/lib/gokr-rsyncd/root';
const PROGRAM = '/usr/lib/gokr-rsyncd/gokr-rsyncd.mjs';

export interface Setup {
  readonly toml: string;
  /** Shipped drop-ins, by name below deploy/. */
  readonly dropins?: readonly string[];
  /** Lines of a further drop-in. */
  readonly lines?: readonly string[];
  /** Leaves out the drop-in of --print-dropin. */
  readonly withoutModules?: boolean;
}

/** Installs the minimal root and both units. */
export async function install(machine: Machine): Promise<void> {
  mkdirSync(machine.at('/usr/lib/gokr-rsyncd'), { recursive: true });
  await mustRun('cp', ['--archive', ROOT, machine.at(INSTALLED)]);
  for (const unit of [SERVICE, SOCKET]) cpSync(join(PROJECT, unit), machine.at(`/etc/systemd/system/${unit}`));
}

/** Writes configuration and drop-ins as an administrator would; afterwards the socket listens and the service is stopped. */
export async function configure(machine: Machine, setup: Setup): Promise<void> {
  await machine.run('systemctl', 'stop', SERVICE, SOCKET);
  rmSync(machine.at(DROPINS), { recursive: true, force: true });
  mkdirSync(machine.at(DROPINS), { recursive: true });
  writeFileSync(machine.at('/etc/gokr-rsyncd.toml'), setup.toml);
  for (const name of setup.dropins ?? []) {
    cpSync(join(PROJECT, 'deploy', name), join(machine.at(DROPINS), name.replaceAll('/', '-')));
  }
  const lines = setup.lines ?? [];
  if (lines.length > 0) writeFileSync(join(machine.at(DROPINS), 'test.conf'), ['[Service]', ...lines, ''].join('\n'));
  if (setup.withoutModules !== true) {
    writeFileSync(join(machine.at(DROPINS), 'modules.conf'), await program(machine, '--print-dropin'));
  }
  await machine.output('systemctl', 'daemon-reload');
  await machine.run('systemctl', 'reset-failed', SERVICE, SOCKET);
  await machine.output('systemctl', 'start', SOCKET);
}

/** Output of the installed program, run outside of its sandbox; its libraries come from the minimal root as well. */
export async function program(machine: Machine, ...args: string[]): Promise<string> {
  const libraries = `${INSTALLED}/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
  const loader = `${INSTALLED}/${process.arch === 'arm64' ? 'lib/ld-linux-aarch64.so.1' : 'lib64/ld-linux-x86-64.so.2'}`;
  const node = [loader, '--library-path', libraries, `${INSTALLED}/bin/node`] as const;
  return machine.output(...node, `${INSTALLED}${PROGRAM}`, ...args);
}

/** Properties of the service, by name. */
export async function properties(machine: Machine, unit = SERVICE): Promise<Readonly<Record<string, string>>> {
  const text = await machine.output('systemctl', 'show', unit);
  return Object.fromEntries(
    text.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

/** What the service has logged since the machine booted. */
export function journal(machine: Machine): Promise<string> {
  return machine.output('journalctl', '--no-pager', '--output=cat', `--unit=${SERVICE}`);
}

/** Exposure of the running unit in tenths, as `systemd-analyze security` counts. */
export async function exposure(machine: Machine): Promise<number> {
  const text = await machine.output('systemd-analyze', 'security', '--no-pager', SERVICE);
  return Math.round(Number(/Overall exposure level for .*: ([\d.]+)/.exec(text)?.[1]) * 10);
}

/** Mounts of the running service: mount point and options; of several on one point, the one on top. */
export async function mounts(machine: Machine): Promise<ReadonlyMap<string, readonly string[]>> {
  const { MainPID } = await properties(machine);
  const lines = (await machine.output('cat', `/proc/${MainPID}/mountinfo`)).trim().split('\n');
  return new Map(lines.map((line) => line.split(' ')).map((fields) => [fields[4]!, fields[5]!.split(',')]));
}

/** /proc/PID/status of the running service. */
export async function processStatus(machine: Machine): Promise<Readonly<Record<string, string>>> {
  const { MainPID } = await properties(machine);
  const text = await machine.output('cat', `/proc/${MainPID}/status`);
  return Object.fromEntries(text.split('\n').map((line) => line.split(/:\s*/, 2) as [string, string]));
}
