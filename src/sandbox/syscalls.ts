/** System calls that Node has no function for, through its FFI; cli/serve.ts asks before anything is served. */

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
 * Opens a datagram socket that is connected to a unix address; the caller writes to it as to a file and never has to
 * call a system function again.
 * @param address a path, or `@name` in the abstract name space.
 * @returns the descriptor: close-on-exec, never blocking.
 * @throws SandboxError where FFI is missing, the address is not one, or nobody listens.
 */
export async function connectDatagram(address: string): Promise<number> {
  const sockaddr = toSockaddr(address);
  const { socket, connect, close } = await loadFunctions();
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new SandboxError('cannot open a unix datagram socket');
  if (connect(fd, sockaddr, sockaddr.length) === 0) return fd;
  close(fd);
  throw new SandboxError(`cannot connect to the unix datagram socket ${JSON.stringify(address)}`);
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

interface SocketFunctions {
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly connect: (fd: number, address: Buffer, length: number) => number;
  readonly close: (fd: number) => number;
}

async function loadFunctions(): Promise<SocketFunctions> {
  try {
    const { dlopen } = await import('node:ffi');
    const { functions } = dlopen(null, {
      socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
      connect: { arguments: ['i32', 'buffer', 'u32'], return: 'i32' },
      close: { arguments: ['i32'], return: 'i32' },
    });
    return functions;
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new SandboxError(`needs Node's FFI (node:ffi, on by default from 26.9): ${reason}`, { cause: thrown });
  }
}
