/**
 * A hostile program: tries, as whoever runs it, what the daemon's sandbox forbids, and prints what became of each attempt as
 * JSON: `done`, or the error's code. A test feeds it to the daemon's own Node (`node --input-type=module-typescript -`), so it imports nothing
 * but Node's modules. PROBE_MODULE: directory of a module with a file `file`.
 */

import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';

const MODULE = process.env.PROBE_MODULE ?? '/modules/pub';
const PTRACE_ATTACH = 16;
const CLONE_NEWUSER = 0x10000000;
const AF_INET = 2;
const SOCK_RAW = 3;

type Attempt = () => unknown;

const attempts: Record<string, Attempt> = {
  'make a file in a module': () => writeFileSync(`${MODULE}/new`, ''),
  'make a link in a module': () => symlinkSync('file', `${MODULE}/link`),
  'open a file of a module for writing': () => closeSync(openSync(`${MODULE}/file`, 'r+')),
  'make a file in its root': () => writeFileSync('/new', ''),
  'make a temporary file': () => writeFileSync('/tmp/new', ''),
  'read /etc/shadow': () => readFileSync('/etc/shadow'),
  'read the home of root': () => readdirSync('/root/.ssh'),
  'start a program': () => {
    const { error } = spawnSync(process.execPath, ['--version']);
    if (error !== undefined) throw error;
  },
  'become root': () => process.setuid?.(0),
  'end the daemon': () => process.kill(Number(process.env.PROBE_PID ?? 1), 'SIGKILL'),
};

try {
  const { dlopen } = await import('node:ffi');
  const { functions } = dlopen(null, {
    mount: { arguments: ['buffer', 'buffer', 'buffer', 'u64', 'buffer'], return: 'i32' },
    ptrace: { arguments: ['i64', 'i64', 'i64', 'i64'], return: 'i64' },
    unshare: { arguments: ['i32'], return: 'i32' },
    socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
    __errno_location: { arguments: [], return: 'pointer' },
  });
  const text = (value: string): Buffer => Buffer.from(`${value}\0`);
  /** The FFI does not keep errno reliably: what counts is that the call fails. */
  const called = (result: number | bigint): void => {
    if (Number(result) === -1) throw Object.assign(new Error('denied'), { code: 'denied' });
  };
  attempts['mount a file system'] = () =>
    called(functions.mount(text('none'), text('/tmp'), text('tmpfs'), 0n, text('')));
  attempts['trace the daemon'] = () =>
    called(functions.ptrace(BigInt(PTRACE_ATTACH), BigInt(process.env.PROBE_PID ?? 1), 0n, 0n));
  attempts['make a user namespace'] = () => called(functions.unshare(CLONE_NEWUSER));
  attempts['open a raw socket'] = () => called(functions.socket(AF_INET, SOCK_RAW, 1));
} catch (error) {
  attempts['load FFI'] = () => {
    throw error;
  };
}

const outcomes = Object.entries(attempts).map(([name, attempt]) => {
  try {
    attempt();
    return [name, 'done'];
  } catch (error) {
    const { code, errno } = error as NodeJS.ErrnoException;
    return [name, code ?? (errno === undefined ? String(error) : getSystemErrorName(errno))];
  }
});
const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
console.log(JSON.stringify({ ...Object.fromEntries(outcomes), processes: processes.length }));
