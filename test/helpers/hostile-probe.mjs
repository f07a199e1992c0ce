/**
 * Loaded into the program with --import by the tests of its sandboxes: in the confined stage (or in the first, which somebody else
 * has confined, with PROBE_FIRST_STAGE) it does, with the daemon's identity and inside its
 * sandbox, what somebody would do who has taken it over, and writes one line for each attempt to standard error.
 */

import { spawnSync } from 'node:child_process';
import * as dgram from 'node:dgram';
import * as fs from 'node:fs';
import * as net from 'node:net';
import { join } from 'node:path';

const { GOKR_RSYNCD_STAGE, PROBE_MODULE, PROBE_PORT, PROBE_VICTIM, PROBE_FIRST_STAGE } = process.env;

function report(attempt, outcome) {
  fs.writeSync(2, `${JSON.stringify({ attempt, outcome })}\n`);
}

function attempt(name, action) {
  try {
    const result = action();
    report(name, result ?? 'ALLOWED');
  } catch (thrown) {
    report(name, thrown.code || thrown.message);
  }
}

const allowed = (found) => (found ? 'ALLOWED' : 'nothing');

function probeFiles() {
  const inside = (name) => join(PROBE_MODULE, name);
  attempt('write a file of the module', () => fs.writeFileSync(inside('file'), 'changed'));
  attempt('make a file in the module', () => fs.writeFileSync(inside('new'), 'x'));
  attempt('delete a file of the module', () => fs.unlinkSync(inside('file')));
  attempt('rename a file of the module', () => fs.renameSync(inside('file'), inside('other')));
  attempt('open the module to everybody', () => fs.chmodSync(PROBE_MODULE, 0o777));
  attempt('set a time in the module', () => fs.utimesSync(inside('file'), 1, 1));
  attempt('make a link in the module', () => fs.symlinkSync('/etc/shadow', inside('link')));
  attempt('write to /tmp', () => fs.writeFileSync('/tmp/gokr-probe', 'x'));
  attempt('read /etc/shadow', () => void fs.readFileSync('/etc/shadow'));
  attempt('list /root', () => allowed(fs.readdirSync('/root').length > 0));
  attempt('list /', () => allowed(fs.readdirSync('/').length > 0));
}

function probeProcesses() {
  attempt('list other processes', () =>
    allowed(fs.readdirSync('/proc').some((name) => /^\d+$/.test(name) && name !== `${process.pid}`)),
  );
  attempt('look into another process', () => void fs.readFileSync(`/proc/${PROBE_VICTIM}/status`));
  attempt('end another process', () => void process.kill(Number(PROBE_VICTIM), 'SIGKILL'));
  attempt('run a shell', () => {
    const { error, status } = spawnSync('/bin/sh', ['-c', 'exit 0']);
    if (error) throw error;
    return `ALLOWED: ${status}`;
  });
  attempt('run itself', () => {
    const { error, status } = spawnSync(process.execPath, ['--version']);
    if (error) throw error;
    return `ALLOWED: ${status}`;
  });
  attempt('become somebody else', () => (process.getuid() === 0 ? process.setgroups([0]) : process.setuid(0)));
}

async function probeNetwork() {
  const tcp = await new Promise((resolve) => {
    const socket = net.connect(Number(PROBE_PORT), '127.0.0.1', () => resolve('ALLOWED'));
    socket.on('error', (error) => resolve(error.code));
  });
  report('connect out', tcp);
  const listening = await new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => server.close(() => resolve('ALLOWED')));
    server.on('error', (error) => resolve(error.code));
  });
  report('listen on a new port', listening);
  const udp = await new Promise((resolve) => {
    try {
      const socket = dgram.createSocket('udp4');
      socket.on('error', (error) => resolve(error.code));
      socket.bind(0, '127.0.0.1', () => socket.close(() => resolve('ALLOWED')));
    } catch (thrown) {
      resolve(thrown.code);
    }
  });
  report('send a datagram', udp);
}

/** What Node has no function for needs FFI; the tests leave it on with a module that serves extended attributes. */
async function probeKernel() {
  const { dlopen, getInt32 } = await import('node:ffi');
  const int = (count) => ({ arguments: new Array(count).fill('i64'), return: 'i64' });
  const { functions } = dlopen(null, {
    ...{ syscall: int(7), mount: int(5), ptrace: int(4), unshare: int(1), socket: int(3), chroot: int(1) },
    __errno_location: { arguments: [], return: 'pointer' },
  });
  const errno = functions.__errno_location();
  const call = (title, name, ...args) => {
    attempt(title, () => {
      const result = Number(functions[name](...args.map(BigInt)));
      return (result | 0) < 0 ? `errno ${getInt32(errno)}` : 'ALLOWED';
    });
  };
  call('mount', 'mount', 0, 0, 0, 0, 0);
  call('ptrace', 'ptrace', 16, Number(PROBE_VICTIM), 0, 0);
  call('unshare', 'unshare', 0x10000000);
  call('open a socket by hand', 'socket', 2, 1, 0);
  call('open a raw socket', 'socket', 2, 3, 1);
  call('chroot', 'chroot', 0);
}

if (GOKR_RSYNCD_STAGE !== undefined || PROBE_FIRST_STAGE !== undefined) {
  probeFiles();
  probeProcesses();
  await probeNetwork();
  await probeKernel().catch((thrown) => report('load FFI', thrown.code));
  report('end of probe', 'done');
}
