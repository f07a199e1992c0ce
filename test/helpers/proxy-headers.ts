/** PROXY headers as a proxy sends them, and connections that begin with one. */

import { writeFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { join } from 'node:path';

export const UNSPEC = 0x00;
export const TCP4 = 0x11;
export const TCP6 = 0x21;
export const UNIX = 0x31;

/** @param rest behind `PROXY `. */
export function headerV1(rest: string): Buffer {
  return Buffer.from(`PROXY ${rest}\r\n`, 'latin1');
}

/** @param more behind the addresses. */
export function headerV2(
  command: number,
  family: number,
  address = '192.0.2.1',
  port = 1,
  more: Uint8Array = Buffer.alloc(0),
): Buffer {
  const body = Buffer.concat([addressBlock(family, address, port), more]);
  const fixed = Buffer.from('0d0a0d0a000d0a515549540a00000000', 'hex');
  fixed[12] = command;
  fixed[13] = family;
  fixed.writeUInt16BE(body.length, 14);
  return Buffer.concat([fixed, body]);
}

function addressBlock(family: number, address: string, port: number): Buffer {
  const ports = Buffer.from([port >> 8, port & 0xff, 873 >> 8, 873 & 0xff]);
  if (family === TCP4)
    return Buffer.concat([Buffer.from(address.split('.').map(Number)), Buffer.from([10, 0, 0, 1]), ports]);
  if (family === TCP6) return Buffer.concat([ipv6Bytes(address), Buffer.alloc(16), ports]);
  return Buffer.alloc(family === UNIX ? 216 : 0);
}

function ipv6Bytes(address: string): Buffer {
  const bytes = Buffer.alloc(16);
  const [head = '', tail = ''] = address.split('::');
  const write = (groups: string[], at: number): void => {
    for (const group of groups) at = bytes.writeUInt16BE(Number.parseInt(group, 16), at);
  };
  const dotted = isIPv4(tail.split(':').at(-1) ?? '') ? tail.split(':').at(-1)!.split('.').map(Number) : null;
  const groups = tail === '' ? [] : tail.split(':').slice(0, dotted === null ? undefined : -1);
  write(head === '' ? [] : head.split(':'), 0);
  write(groups, 16 - 2 * groups.length - (dotted === null ? 0 : 4));
  if (dotted !== null) bytes.set(dotted, 12);
  return bytes;
}

/**
 * Writes a program for `ProxyCommand` and RSYNC_CONNECT_PROG.
 * @returns the command line that connects standard input and output to a port, behind a header.
 */
export function connectingWith(dir: string, port: number | string, header: Uint8Array): string {
  const script = join(dir, 'with-header.cjs');
  writeFileSync(
    script,
    `const [port, header] = process.argv.slice(2);
const socket = require('node:net').connect({ port, host: '127.0.0.1', allowHalfOpen: true });
socket.write(Buffer.from(header, 'hex'));
process.stdin.pipe(socket).pipe(process.stdout);
socket.on('error', () => process.exit(1));
`,
  );
  return `${process.execPath} ${script} ${port} ${Buffer.from(header).toString('hex')}`;
}
