/** A real sshd on loopback with a user of its own; sshd-stage.ts logs in to it. Needs root. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../helpers/free-port.ts';
import { PROGRAM } from '../helpers/program.ts';
import { mustRun } from '../helpers/run.ts';
import { endChild } from '../helpers/running-daemon.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { installPackage } from '../setup/client-roots.ts';
import { hasRoot, missing } from '../setup/clients.ts';

export const NODE = process.execPath;
const SSHD = '/usr/sbin/sshd';

export interface Login {
  readonly user?: string;
  /** With the key that stands behind `authorize`, instead of the one that may do anything. */
  readonly restricted?: boolean;
}

export interface Sshd {
  /** Readable by everybody; holds keys, the user's home, the program. */
  readonly dir: string;
  /** Our program as sshd's users start it. */
  readonly program: string;
  /** An account without privileges, its shell /bin/sh. */
  readonly user: string;
  readonly uid: number;
  readonly home: string;
  readonly port: number;
  /** Of the listener, which all sessions descend from. */
  readonly pid: number;
  /** A command line that runs ssh, for `rsync -e`; a host name is to follow. */
  ssh(login?: Login): string[];
  /** Sets the options of the restricted key. */
  authorize(options: string): void;
  close(): Promise<void>;
}

/** True when sshd can be run; installs it first when it is missing and we are root. */
export function haveSshd(): boolean {
  if (!hasRoot()) return false;
  const found = (): boolean =>
    spawnSync(SSHD, ['-V']).error === undefined && spawnSync('ssh', ['-V']).error === undefined;
  if (!found()) installPackage('openssh-server');
  if (found()) return true;
  missing('sshd (package openssh-server)');
  return false;
}

/** Starts sshd on a free port of 127.0.0.1. @param settings further lines of its configuration. */
export async function startSshd(settings: readonly string[] = ['PermitRootLogin yes']): Promise<Sshd> {
  const dir = scratchDir('sshd');
  const user = `rsyncd${randomBytes(4).toString('hex')}`;
  const uid = await addUser(user, join(dir, 'home'));
  try {
    const port = await freePort();
    await writeFiles(dir, port, settings);
    const child = spawn(SSHD, ['-D', '-e', '-f', join(dir, 'config')], { stdio: ['ignore', 'ignore', 'pipe'] });
    await listening(child, port);
    const sshd = { dir, program: writeProgram(dir, 'gokr-rsyncd', NODE), user, uid, home: join(dir, 'home') };
    return {
      ...sshd,
      port,
      pid: child.pid!,
      ssh: ({ user: who = 'root', restricted = false } = {}) => sshCommand(dir, port, who, restricted),
      authorize: (options) => authorize(dir, options),
      close: () => endChild(child).then(() => cleanUp(dir, user)),
    };
  } catch (error) {
    cleanUp(dir, user);
    throw error;
  }
}

/** A script in `dir` that runs our program with a Node of its own. */
export function writeProgram(dir: string, name: string, node: string): string {
  const path = join(dir, name);
  writeFileSync(path, `#!/bin/sh\nexec ${node} ${PROGRAM} "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

async function addUser(name: string, home: string): Promise<number> {
  mkdirSync(home);
  // A star, other than an exclamation mark, is no locked account for sshd.
  await mustRun('useradd', ['-M', '-d', home, '-s', '/bin/sh', '-p', '*', name]);
  const uid = Number((await mustRun('id', ['-u', name])).stdout.toString());
  chownSync(home, uid, uid);
  return uid;
}

function cleanUp(dir: string, user: string): void {
  spawnSync('userdel', [user]);
  removeTree(dir);
}

async function writeFiles(dir: string, port: number, settings: readonly string[]): Promise<void> {
  for (const key of ['host', 'plain', 'restricted']) {
    await mustRun('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', key, '-f', join(dir, key)]);
  }
  authorize(dir, 'restrict,command="false"');
  mkdirSync('/run/sshd', { recursive: true });
  const lines = [
    `ListenAddress 127.0.0.1:${port}`,
    `HostKey ${dir}/host`,
    `AuthorizedKeysFile ${dir}/authorized_keys`,
    'PidFile none',
    // The temporary directory is everybody's.
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'PrintMotd no',
    'MaxStartups 100',
    ...settings,
  ];
  writeFileSync(join(dir, 'config'), `${lines.join('\n')}\n`);
}

function authorize(dir: string, options: string): void {
  const key = (name: string): string => readFileSync(join(dir, `${name}.pub`), 'utf8');
  writeFileSync(join(dir, 'authorized_keys'), `${key('plain')}${options} ${key('restricted')}`);
}

function sshCommand(dir: string, port: number, user: string, restricted: boolean): string[] {
  const settings = [
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'LogLevel=ERROR',
    'BatchMode=yes',
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
  ].flatMap((setting) => ['-o', setting]);
  const key = join(dir, restricted ? 'restricted' : 'plain');
  return ['ssh', '-F', 'none', ...settings, '-i', key, '-p', String(port), '-l', user];
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  let log = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    log += chunk;
  });
  for (let attempt = 0; attempt < 100 && child.exitCode === null; attempt++) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(socket.destroy() !== null));
      socket.on('error', () => resolve(false));
    });
    if (isOpen) return;
    await sleep(50);
  }
  await endChild(child);
  throw new Error(`sshd did not start:\n${log}`);
}
