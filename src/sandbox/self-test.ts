/**
 * What the sandbox claims, tried out from inside at every start: one row per guarantee. cli/serve.ts logs the table, --check prints
 * it, the status page may show it.
 */

import { accessSync, closeSync, constants, openSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { SandboxError } from '../errors.ts';
import type { Guarantee } from '../observe/daemon-state.ts';
import { isInside } from './inside.ts';
import type { VerifySummary } from './verify.ts';

/** What was done before, which decides what is promised. */
export interface Claims {
  /** Of assertReadOnly: how far the modules were searched, or what was found. */
  readonly modules: readonly VerifySummary[] | string;
  /** Paths of the modules: what lies in them or on the way to them is meant to be seen. */
  readonly served: readonly string[];
  /** Whether Landlock was asked for; null where somebody else confines us, who has no need of it. */
  readonly landlockAbi: number | null;
  /** Whether this process opened no socket by itself, and so promises that it cannot. */
  readonly noSockets: boolean;
}

/** CAP_DAC_READ_SEARCH, which backup.conf leaves: it reads everything and changes nothing. */
const CAP_DAC_READ_SEARCH = 1n << 2n;

/** Longest argument that the kernel takes is 128 KiB: with this one, no program ever starts. */
const TOO_LONG_BYTES = 256 * 1024;
/** Node has no name for it here. */
const E2BIG = 7;

/** Programs that nearly every machine has. */
const PROGRAMS = ['/bin/sh', '/bin/ls', '/usr/bin/env', '/bin/busybox'];

/** Where a user of the host can usually write. */
const WRITABLE_PLACES = ['/', '/tmp', '/var/tmp', '/dev/shm', '/run', '/proc/self/cwd'];

/** Directories of others, and files with secrets: none must open. A unit's /var holds mount points, and nothing in them. */
const SECRET_FILES = ['/etc/shadow', '/etc/gshadow', '/etc/ssh/ssh_host_ed25519_key'];
const PRIVATE_DIRECTORIES = ['/root', '/home', '/var/lib', '/var/log', '/usr/bin', '/sys'];

/** A secret of the machine, unless we are its first process, as in a container. */
const FIRST_PROCESS = '/proc/1/environ';

/** `__O_TMPFILE`, which makes a file without a name, gone when closed; O_DIRECTORY is its other half. */
const OPEN_TMPFILE = 0o20000000 | constants.O_DIRECTORY | constants.O_RDWR;

/** Loopback port of the discard service, where nobody listens: a refusal of the kernel comes before one of the peer. */
const CONNECT_TO = { host: '127.0.0.1', port: 9 };
const CONNECT_MS = 1000;

/** Errors of a socket that could not even be made. */
const NO_SOCKET = new Set(['EPERM', 'EACCES', 'EAFNOSUPPORT', 'ENETUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL']);

/** Tries everything. Changes nothing, also where a guarantee does not hold. Linux; elsewhere the identity alone. */
export async function runSelfTest(claims: Claims): Promise<Guarantee[]> {
  const modules = modulesRow(claims);
  if (process.platform !== 'linux') return [foreignIdentityRow(), modules];
  const status = readStatus();
  return [
    identityRow(status),
    capabilitiesRow(status),
    row('no new privileges', status.NoNewPrivs === '1', `NoNewPrivs ${status.NoNewPrivs}`),
    row('seccomp', status.Seccomp === '2', `Seccomp ${status.Seccomp}`),
    ...landlockRows(claims),
    modules,
    deniedRow('nothing writable', WRITABLE_PLACES, canMakeFile),
    ...hiddenRows(claims),
    processesRow(),
    deniedRow('no programs', PROGRAMS, canExecute),
    ...(claims.noSockets ? [await socketsRow()] : []),
  ];
}

/** Refuses to go on when something does not hold. @throws SandboxError naming each such row. */
export function assertGuarantees(guarantees: readonly Guarantee[]): void {
  const broken = guarantees.filter(({ holds }) => !holds);
  if (broken.length === 0) return;
  const lines = broken.map(({ name, detail }) => `${name}: ${detail}`);
  throw new SandboxError(['--require-sandbox=strict: these guarantees do not hold', ...lines].join('\n  '));
}

/** The table as --check prints it, one line per guarantee. */
export function guaranteeLines(guarantees: readonly Guarantee[]): string[] {
  const width = Math.max(...guarantees.map(({ name }) => name.length));
  return guarantees.map(({ name, holds, detail }) => `${holds ? 'holds' : 'FAILS'}  ${name.padEnd(width)}  ${detail}`);
}

function row(name: string, holds: boolean, detail: string): Guarantee {
  return { name, holds, detail };
}

type Status = Readonly<Record<string, string>>;

function readStatus(): Status {
  const lines = readFileSync('/proc/self/status', 'latin1').trim().split('\n');
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
  );
}

/** All four ids of user and group, and every supplementary group. */
function identityRow(status: Status): Guarantee {
  const words = (text = ''): string[] => text.split(/\s+/).filter((word) => word !== '');
  const [users, groups, others] = [words(status.Uid), words(status.Gid), words(status.Groups)];
  const detail = `uid ${users[0]}, gid ${groups[0]}, groups [${others.join(' ')}]`;
  if (![...users, ...groups, ...others].includes('0')) return row('identity', new Set(users).size === 1, detail);
  const outside = [outsideOf('/proc/self/uid_map'), outsideOf('/proc/self/gid_map')];
  const [user, group] = outside;
  return row('identity', !outside.includes(0), `${detail}, of a user namespace: uid ${user}, gid ${group} outside`);
}

/** The id that 0 stands for outside of this user namespace. */
function outsideOf(map: string): number {
  return Number(/^\s*0\s+(\d+)/m.exec(readFileSync(map, 'latin1'))?.[1] ?? 0);
}

function foreignIdentityRow(): Guarantee {
  const ids = [process.getuid?.(), process.geteuid?.(), process.getgid?.(), process.getegid?.()];
  return row('identity', !ids.includes(0), `uid ${ids[1]}, gid ${ids[3]}`);
}

function capabilitiesRow(status: Status): Guarantee {
  const sets = ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'].map((name) => BigInt(`0x${status[name]}`));
  const held = sets.reduce((all, one) => all | one, 0n);
  // The bounding set is what an exec could give at most, and no_new_privs says that it gives nothing.
  const bounded = status.NoNewPrivs === '1' || BigInt(`0x${status.CapBnd}`) === 0n;
  const detail = held === 0n ? 'none' : `0x${held.toString(16)}`;
  const gain = bounded ? '' : `, a program could gain 0x${status.CapBnd}`;
  const text = `${held === CAP_DAC_READ_SEARCH ? 'CAP_DAC_READ_SEARCH alone' : detail}${gain}`;
  return row('capabilities', (held & ~CAP_DAC_READ_SEARCH) === 0n && bounded, text);
}

function landlockRows({ landlockAbi, served }: Claims): Guarantee[] {
  if (landlockAbi === null) return [];
  if (landlockAbi === 0) return [row('landlock', false, 'not in force')];
  // The root directory is no part of any module, and everybody may list it where nothing keeps him from it.
  const code = served.includes('/') ? 'EACCES' : codeOf(() => readdirSync('/'));
  return [row('landlock', code === 'EACCES', `ABI ${landlockAbi}, the root directory: ${code ?? 'can be listed'}`)];
}

function modulesRow({ modules }: Claims): Guarantee {
  if (typeof modules === 'string') return row('modules read-only', false, modules);
  const entries = modules.reduce((sum, one) => sum + one.entries, 0);
  const parts = modules.filter(({ complete }) => !complete).map(({ module }) => module);
  const rest = parts.length === 0 ? '' : `, not all of ${parts.join(', ')}`;
  return row('modules read-only', true, `${entries} entries tried in ${modules.length} modules${rest}`);
}

function hiddenRows({ served }: Claims): Guarantee[] {
  const isMeant = (path: string) => served.some((module) => isInside(path, module) || isInside(module, path));
  const hidden = PRIVATE_DIRECTORIES.filter((path) => !isMeant(path));
  const secrets = process.pid === 1 ? SECRET_FILES : [...SECRET_FILES, FIRST_PROCESS];
  return [deniedRow('no secrets', secrets, canRead), deniedRow('host hidden', hidden, holdsAnything)];
}

/** A row that holds when `can` is false for every path. */
function deniedRow(name: string, paths: readonly string[], can: (path: string) => string | null): Guarantee {
  const tried = paths.map((path) => ({ path, code: can(path) }));
  const open = tried.filter(({ code }) => code === null).map(({ path }) => path);
  const codes = [...new Set(tried.map(({ code }) => code))].join(', ');
  return row(
    name,
    open.length === 0,
    open.length === 0 ? `${paths.join(' ')}: ${codes}` : `allowed: ${open.join(' ')}`,
  );
}

function processesRow(): Guarantee {
  const code = codeOf(() => readdirSync('/proc'));
  if (code !== null) return row('processes hidden', true, `/proc: ${code}`);
  const others = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  return row('processes hidden', others.length === 0, `${others.length} others seen`);
}

/** Null when the action works, else the name of its error. */
function codeOf(action: () => unknown): string | null {
  try {
    action();
    return null;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code ?? String(thrown);
  }
}

const canRead = (path: string) => codeOf(() => closeSync(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)));
const canMakeFile = (path: string) => codeOf(() => closeSync(openSync(path, OPEN_TMPFILE, 0o600)));

/** An empty directory shows nothing: the mount point of a minimal root. */
function holdsAnything(path: string): string | null {
  let names: string[] = [];
  const code = codeOf(() => {
    names = readdirSync(path);
  });
  return code ?? (names.length === 0 ? 'empty' : null);
}

/**
 * Whether the kernel would run a program: it opens the file first, and then finds its arguments too long, which is what keeps this
 * from being the end of us.
 */
function canExecute(path: string): string | null {
  // An attempt takes Node as long as all other rows together; what is not there, nobody can run.
  if (codeOf(() => accessSync(path)) === 'ENOENT') return 'ENOENT';
  try {
    process.execve!(path, [path, 'x'.repeat(TOO_LONG_BYTES)], {});
    return null;
  } catch (thrown) {
    const { errno, code } = thrown as NodeJS.ErrnoException;
    return errno === E2BIG ? null : (code ?? String(thrown));
  }
}

function socketsRow(): Promise<Guarantee> {
  return new Promise((resolve) => {
    const socket = connect(CONNECT_TO);
    const done = (code: string): void => {
      socket.destroy();
      resolve(row('no sockets', NO_SOCKET.has(code), `a TCP socket: ${code}`));
    };
    socket.setTimeout(CONNECT_MS, () => done('no answer'));
    socket.on('connect', () => done('connected'));
    socket.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
  });
}
