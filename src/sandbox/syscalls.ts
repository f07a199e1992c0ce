/** System calls that Node has no function for, through its FFI: all of sandbox/ goes through here. Linux only. */

import { getSystemErrorName } from 'node:util';
import { SandboxError } from '../errors.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
/** The same on x86-64 and arm64. */
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;

/** struct sockaddr_un: two bytes of family, then the path. */
const FAMILY_BYTES = 2;
const MAX_PATH_BYTES = 108;

/**
 * Functions of the C library and how many arguments they take. Raw numbers, which differ between architectures, are only for
 * calls that it has no function for (`syscall`).
 */
const FUNCTIONS = {
  bind: 3,
  capset: 2,
  close: 1,
  connect: 3,
  fcntl: 3,
  memfd_create: 2,
  mount: 5,
  prctl: 5,
  setgroups: 2,
  setns: 2,
  setresgid: 3,
  setresuid: 3,
  setsockopt: 5,
  socket: 3,
  umount2: 2,
  unshare: 1,
} as const;

/** `syscall(2)` with its number and six arguments. */
const SYSCALL_ARGUMENTS = 7;

type FunctionName = keyof typeof FUNCTIONS;

/** Texts go as C strings, buffers as pointers to their bytes. */
export type Argument = number | bigint | string | Buffer;

/** The outcome of a call: what it returned, and null or the name of its error (`EPERM`). */
export interface Outcome {
  readonly result: number;
  readonly code: string | null;
}

/** The calls, bound once. All of them act on the calling thread or on the process, as the kernel has it. */
export interface Kernel {
  /** Calls a function of the C library. @throws SandboxError naming it and the error. */
  call(name: FunctionName, ...args: readonly Argument[]): number;
  /** As `call`, for a caller that knows what to do about an error. */
  attempt(name: FunctionName, ...args: readonly Argument[]): Outcome;
  /** A call by its number; `what` is its name in messages. @throws SandboxError */
  syscall(what: string, number: number, ...args: readonly Argument[]): number;
  /** As `syscall`, without a throw. */
  trySyscall(number: number, ...args: readonly Argument[]): Outcome;
  /** Where a buffer's bytes are, for a structure that points to them; the caller keeps the buffer alive. */
  addressOf(buffer: Buffer): bigint;
}

type Native = (...args: readonly bigint[]) => number | bigint;

/** Binds the calls. @throws SandboxError where Node has no FFI, or was started without it. */
export async function loadKernel(): Promise<Kernel> {
  const { dlopen, getInt32, getRawPointer } = await importFfi();
  const definitions = Object.entries(FUNCTIONS).map(([name, count]) => [name, signature(count, 'i32')] as const);
  const { functions } = dlopen(null, {
    ...Object.fromEntries(definitions),
    syscall: signature(SYSCALL_ARGUMENTS, 'i64'),
    __errno_location: { arguments: [], return: 'pointer' },
  });
  const natives = functions as unknown as Record<FunctionName | 'syscall', Native>;
  const errnoAt = (functions as unknown as { __errno_location: () => bigint }).__errno_location();

  function invoke(name: FunctionName | 'syscall', count: number, args: readonly Argument[]): Outcome {
    const given = args.map((arg) => (typeof arg === 'string' ? Buffer.from(`${arg}\0`) : arg));
    const words = given.map((arg) => (Buffer.isBuffer(arg) ? getRawPointer(arg) : BigInt(arg)));
    const result = Number(natives[name](...words, ...new Array<bigint>(count - words.length).fill(0n)));
    return { result, code: result < 0 ? getSystemErrorName(-getInt32(errnoAt)) : null };
  }
  const attempt: Kernel['attempt'] = (name, ...args) => invoke(name, FUNCTIONS[name], args);
  const trySyscall: Kernel['trySyscall'] = (number, ...args) => invoke('syscall', SYSCALL_ARGUMENTS, [number, ...args]);
  return {
    attempt,
    trySyscall,
    addressOf: getRawPointer,
    call: (name, ...args) => succeeded(name, attempt(name, ...args)),
    syscall: (what, number, ...args) => succeeded(what, trySyscall(number, ...args)),
  };
}

function signature(count: number, result: 'i32' | 'i64') {
  return { arguments: new Array<'i64'>(count).fill('i64'), return: result };
}

function succeeded(what: string, { result, code }: Outcome): number {
  if (code !== null) throw new SandboxError(`${what}: ${code}`);
  return result;
}

async function importFfi() {
  try {
    return await silently(() => import('node:ffi'));
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new SandboxError(`needs Node's FFI (node:ffi, on by default from 26.9): ${reason}`, { cause: thrown });
  }
}

/** Node warns on standard error that its FFI may change in another version; the one that we run is pinned. */
async function silently<T>(load: () => Promise<T>): Promise<T> {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return await load();
  } finally {
    process.emitWarning = emitWarning;
  }
}

/**
 * Opens a datagram socket that is connected to a unix address; the caller writes to it as to a file and never has to
 * call a system function again.
 * @param address a path, or `@name` in the abstract name space.
 * @returns the descriptor: close-on-exec, never blocking.
 * @throws SandboxError where FFI is missing, the address is not one, or nobody listens.
 */
export async function connectDatagram(address: string): Promise<number> {
  const sockaddr = toSockaddr(address);
  const kernel = await loadKernel();
  const fd = kernel.call('socket', AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const { code } = kernel.attempt('connect', fd, sockaddr, sockaddr.length);
  if (code === null) return fd;
  kernel.attempt('close', fd);
  throw new SandboxError(`cannot connect to the unix datagram socket ${JSON.stringify(address)}: ${code}`);
}

/** F_DUPFD_CLOEXEC: the lowest free descriptor from the argument on, closed by an exec. */
const DUPLICATE_CLOEXEC = 1030;
const FIRST_DUPLICATE = 3;

/** Another descriptor for the same socket, close-on-exec. @throws SandboxError */
export function duplicateDescriptor(kernel: Kernel, fd: number): number {
  return kernel.call('fcntl', fd, DUPLICATE_CLOEXEC, FIRST_DUPLICATE);
}

/** `duplicateDescriptor` for somebody who needs nothing else. @throws SandboxError where FFI is missing. */
export async function loadDuplicate(): Promise<(fd: number) => number> {
  const kernel = await loadKernel();
  return (fd) => duplicateDescriptor(kernel, fd);
}

function toSockaddr(address: string): Buffer {
  const path = Buffer.from(address);
  const isAbstract = address.startsWith('@');
  if (path.length < 2 || path.length >= MAX_PATH_BYTES || !(isAbstract || address.startsWith('/'))) {
    throw new SandboxError(`${JSON.stringify(address)} is not the address of a unix socket`);
  }
  if (path.includes(0)) throw new SandboxError('the address of a unix socket holds a NUL');
  // An abstract name has exactly the length that is passed; a path ends with NUL.
  const sockaddr = Buffer.alloc(FAMILY_BYTES + path.length + (isAbstract ? 0 : 1));
  if (isAbstract) path[0] = 0;
  path.copy(sockaddr, FAMILY_BYTES);
  // The family is in the machine's order; x86-64 and arm64 are both little-endian.
  sockaddr.writeUInt16LE(AF_UNIX);
  return sockaddr;
}
