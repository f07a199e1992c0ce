/**
 * Every system call that the daemon may make, as recorded with `strace -f` over the interop suite and over pulls from the
 * bundle with and without `--jitless` (Node 26.10, x86-64), to which TLS, SSH, extended attributes, shared lists and monitoring
 * added none; and how the container profile is made of it: `node deploy/build/syscalls.ts` writes deploy/seccomp.json.
 * SystemCallFilter= of the unit holds the same names.
 *
 * Seen but left out: io_uring_setup and io_uring_enter (libuv goes on without), setuid, setgid, setgroups and setresuid (only
 * a daemon that was started as root gives it up).
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Recorded in a daemon on inherited sockets. */
const RECORDED = [
  ...['accept4', 'access', 'arch_prctl', 'brk', 'capget', 'clock_nanosleep', 'clone3', 'close', 'connect'],
  ...[
    'epoll_create1',
    'epoll_ctl',
    'epoll_pwait',
    'eventfd2',
    'execve',
    'exit',
    'exit_group',
    'fcntl',
    'fstat',
    'fsync',
  ],
  ...[
    'futex',
    'getcwd',
    'getdents64',
    'getegid',
    'geteuid',
    'getgid',
    'getgroups',
    'getpeername',
    'getpid',
    'getrandom',
  ],
  ...[
    'getsockname',
    'getsockopt',
    'gettid',
    'getuid',
    'ioctl',
    'lgetxattr',
    'listen',
    'llistxattr',
    'lseek',
    'madvise',
  ],
  ...['mmap', 'mprotect', 'munmap', 'newfstatat', 'open', 'openat', 'pipe2', 'prctl', 'pread64', 'preadv', 'prlimit64'],
  ...[
    'read',
    'readlink',
    'rseq',
    'rt_sigaction',
    'rt_sigprocmask',
    'rt_sigreturn',
    'sched_getaffinity',
    'sched_getparam',
  ],
  ...['sched_getscheduler', 'sched_yield', 'set_robust_list', 'set_tid_address', 'setsockopt', 'shutdown', 'socket'],
  ...['statx', 'sysinfo', 'tgkill', 'uname', 'write', 'writev'],
];

/** The same operations under the names that arm64, other kernels or other versions of the C library use. */
const EQUIVALENTS = [
  ...[
    'accept',
    'clock_getres',
    'clock_gettime',
    'clone',
    'epoll_wait',
    'epoll_pwait2',
    'faccessat',
    'faccessat2',
    'fstatfs',
  ],
  ...[
    'futex_waitv',
    'getcpu',
    'getrusage',
    'gettimeofday',
    'lstat',
    'membarrier',
    'mremap',
    'nanosleep',
    'poll',
    'ppoll',
  ],
  ...['preadv2', 'readlinkat', 'readv', 'recvfrom', 'recvmsg', 'restart_syscall', 'rt_sigpending', 'rt_sigtimedwait'],
  ...['sendmsg', 'sendto', 'sigaltstack', 'stat', 'statfs', 'time'],
];

/** SystemCallFilter= of the unit, sorted. */
export const SERVICE_CALLS: readonly string[] = [...RECORDED, ...EQUIVALENTS].sort();

/**
 * A container opens its own port, and locks itself in further: src/sandbox/ (prctl, which seccomp needs, is among the recorded;
 * pwrite64 fills the memory file for its second stage).
 */
const CONTAINER_CALLS = [
  ...['bind', 'close_range', 'memfd_create', 'pwrite64'],
  ...['landlock_add_rule', 'landlock_create_ruleset', 'landlock_restrict_self'],
];

/** O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND and the bit of O_TMPFILE that is not O_DIRECTORY: the same on both architectures. */
const WRITE_FLAGS = 0o1 | 0o2 | 0o100 | 0o1000 | 0o2000 | 0o20000000;

/** O_WRONLY and O_CLOEXEC: how runc, already behind the filter, opens the FIFO on which it waits for its start signal. */
const RUNTIME_OPEN = 0o1 | 0o2000000;

/** The rules for one way to open: when no flag asks to write, and runc's own. */
function openRules(name: string, index: number) {
  const readOnly = { index, value: WRITE_FLAGS, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' };
  const runtime = { index, value: RUNTIME_OPEN, op: 'SCMP_CMP_EQ' };
  return [readOnly, runtime].map((arg) => ({ names: [name], action: 'SCMP_ACT_ALLOW', args: [arg] }));
}

/**
 * The OCI profile, for use together with no-new-privileges: without that, the runtime gives up its own rights behind the
 * filter, and may not. Everything that is not listed fails with EPERM.
 */
export function seccompText(): string {
  const opens = new Set(['open', 'openat']);
  const names = [...SERVICE_CALLS.filter((name) => !opens.has(name)), ...CONTAINER_CALLS].sort();
  const profile = {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 1,
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_AARCH64'],
    syscalls: [
      { names, action: 'SCMP_ACT_ALLOW' },
      // SECURITY: nothing can be created, truncated, appended to or opened for both ways, whatever the mounts say. Writing to
      // an existing file in the very way of runc is left to the read-only mounts.
      ...openRules('open', 1),
      ...openRules('openat', 2),
    ],
  };
  return `${JSON.stringify(profile, null, 2)}\n`;
}

if (import.meta.main) writeFileSync(join(import.meta.dirname, '../seccomp.json'), seccompText());
