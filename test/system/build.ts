/** Builds dist/root and a bundle once before the system tests and installs what they drive; vitest's global set-up. */

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { RELEASE_VARIABLE } from '../../deploy/build/release.ts';
import { bundleProgram } from '../helpers/program.ts';

export const PROJECT = join(import.meta.dirname, '../..');

/** The minimal root under test. */
export const ROOT = join(PROJECT, 'dist/root');

/** Program → Debian package that brings it. */
const TOOLS: Readonly<Record<string, string>> = {
  'systemd-nspawn': 'systemd-container',
  mmdebstrap: 'mmdebstrap',
  mksquashfs: 'squashfs-tools',
  dockerd: 'docker.io',
  'docker-compose': 'docker-compose',
  podman: 'podman',
  catatonit: 'catatonit',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
  rsync: 'rsync',
};

/** The file of the release under test, when `npm run release` runs the tests; null when each test builds what it tries. */
export function released(pattern: RegExp): string | null {
  const directory = process.env[RELEASE_VARIABLE];
  if (directory === undefined) return null;
  const name = readdirSync(directory).find((one) => pattern.test(one));
  if (name === undefined) throw new Error(`${directory} has nothing like ${pattern}`);
  return join(directory, name);
}

/** @returns what vitest calls in the end. */
export async function setup(): Promise<() => void> {
  const missing = Object.entries(TOOLS).filter(([program]) => spawnSync('which', [program]).status !== 0);
  if (missing.length > 0)
    mustDo('apt-get', ['install', '-y', '--no-install-recommends', ...missing.map(([, name]) => name)]);
  buildMinimalRoot();
  return bundleProgram();
}

export function buildMinimalRoot(): void {
  mustDo(process.execPath, [join(PROJECT, 'deploy/build/root.ts')]);
}

function mustDo(command: string, args: readonly string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { status } = spawnSync(command, args, { cwd: PROJECT, stdio: 'inherit', env });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`);
}
