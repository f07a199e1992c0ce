/** Process of activation.test.ts: serves the sockets it inherited, says which ones, and ends after one connection. */

import { fstatSync } from 'node:fs';
import { inheritedSockets } from '../../../src/listener/activation.ts';
import { listenFd } from '../../../src/listener/tcp.ts';

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false;
  }
}

try {
  for (const { fd, name } of inheritedSockets(process.env, process.pid, isSocket)) {
    const listener = await listenFd(fd, (transport) => {
      transport.write(Buffer.from(`hello from ${name}, ${JSON.stringify(transport.peer.address)}`));
      transport.endWrite();
      void transport.read().then(() => process.exit());
    });
    console.log(`${fd} ${name} ${listener.addressText}`);
  }
} catch (error) {
  console.log((error as Error).message);
}
