/** Ports for servers that cannot choose one themselves. */

import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** Below the range that the kernel gives to outgoing connections, of which tests make thousands. */
const FIRST = 10_240;
const LAST = 32_767;

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(FIRST + Math.floor(Math.random() * (LAST - FIRST)), '127.0.0.1');
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    return port;
  }
}
