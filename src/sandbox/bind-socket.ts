/**
 * Stream sockets that have an address but do not listen yet: bound while the process is still root and may use ports below 1024,
 * handed to the confined stage of the same process. Until that listens, the kernel refuses clients as if nobody were there, and no
 * connection can get lost between the two.
 *
 * struct sockaddr_in: family:u16 port:u16be address:u8[4] zero:u8[8]; struct sockaddr_in6: family:u16 port:u16be flowinfo:u32
 * address:u8[16] scope:u32.
 */

import { lookup } from 'node:dns/promises';
import { addressBytes } from '../config/network.ts';
import type { Kernel } from './syscalls.ts';

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;

/** The address as the kernel has it. @param address of 4 or 16 bytes. */
export function socketAddress(address: Uint8Array, port: number): Buffer {
  const isV4 = address.length === 4;
  const bytes = Buffer.alloc(isV4 ? 16 : 28);
  bytes.writeUInt16LE(isV4 ? AF_INET : AF_INET6, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address, isV4 ? 4 : 8);
  return bytes;
}

/**
 * Binds a TCP socket with the options that Node gives to its own.
 * @param host IP address or host name.
 * @param port 0: one that the system chooses.
 * @returns the descriptor, close-on-exec; or the name of the error (`EADDRINUSE`).
 */
export async function bindSocket(kernel: Kernel, host: string, port: number): Promise<number | string> {
  const address = addressBytes(host) ?? (await resolve(host));
  if (typeof address === 'string') return address;
  const isV4 = address.length === 4;
  const socket = kernel.attempt('socket', isV4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket.code !== null) return socket.code;
  const fd = socket.result;
  setOption(kernel, fd, [SOL_SOCKET, SO_REUSEADDR], 1);
  // Clients of both families for `::`, whatever the system's default is.
  if (!isV4) setOption(kernel, fd, [IPPROTO_IPV6, IPV6_V6ONLY], 0);
  const name = socketAddress(address, port);
  const { code } = kernel.attempt('bind', fd, name, name.length);
  if (code === null) return fd;
  kernel.attempt('close', fd);
  return code;
}

function setOption(kernel: Kernel, fd: number, [level, option]: readonly [number, number], value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  kernel.call('setsockopt', fd, level, option, bytes, bytes.length);
}

/** The first address of a host name, or the name of the error. */
async function resolve(host: string): Promise<Uint8Array | string> {
  try {
    return addressBytes((await lookup(host)).address)!;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code ?? 'ENOTFOUND';
  }
}
