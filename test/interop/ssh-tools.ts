/** The clients and tools besides rsync that interop and system tests drive: found, installed where that is possible, or loudly missing. */

import { spawnSync } from 'node:child_process';
import { missing } from '../setup/clients.ts';

/** Debian packages of the programs. */
const PACKAGES = {
  ssh: 'openssh-client',
  strace: 'strace',
  'ssh-keygen': 'openssh-client',
  sftp: 'openssh-client',
  dbclient: 'dropbear-bin',
  plink: 'putty-tools',
  'ssh-audit': 'ssh-audit',
  openssl: 'openssl',
  'rsync-ssl': 'rsync',
  'fail2ban-regex': 'fail2ban',
  mandoc: 'mandoc',
  shellcheck: 'shellcheck',
  chromium: 'chromium',
} as const;
type Tool = keyof typeof PACKAGES;

const isThere = (tool: string): boolean => spawnSync('which', [tool]).status === 0;

/** True when the program can be run; installs its package first when it is missing and we are root. */
export function haveTool(tool: Tool): boolean {
  if (!isThere(tool) && process.getuid?.() === 0) install(PACKAGES[tool]);
  if (isThere(tool)) return true;
  missing(`${tool} (package ${PACKAGES[tool]})`);
  return false;
}

function install(name: string): void {
  const options = { stdio: 'inherit', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } } as const;
  const args = ['install', '-y', '--no-install-recommends', name];
  if (spawnSync('apt-get', args, options).status === 0) return;
  // A fresh image has no package lists.
  spawnSync('apt-get', ['update'], options);
  spawnSync('apt-get', args, options);
}

/** Key exchanges that the installed OpenSSH knows. */
export function knownKex(): string[] {
  return spawnSync('ssh', ['-Q', 'kex'], { encoding: 'latin1' }).stdout.split('\n');
}
