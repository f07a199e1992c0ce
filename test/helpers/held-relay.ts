/** A way to a daemon that stands still in the middle of what it sends, so that a test can do something while a transfer is under way. */

import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';

/** For one connection. */
export interface HeldRelay {
  /** Where the client connects to, on 127.0.0.1. */
  readonly port: number;
  /** Resolves when nothing more is passed on to the client. */
  readonly held: Promise<'held'>;
  /** Passes on the rest. */
  release(): void;
  close(): void;
}

/**
 * Opens a way to the daemon at `port`.
 * @param afterBytes the daemon's that the client still gets, roughly. How much more the daemon has written then, kernel and daemon decide.
 */
export async function openHeldRelay(port: number, afterBytes: number): Promise<HeldRelay> {
  const { promise: held, resolve: hold } = Promise.withResolvers<'held'>();
  let release = (): void => {};
  const server = createServer({ allowHalfOpen: true }, (client) => {
    server.close();
    const daemon = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let passedBytes = 0;
    const passOn = (chunk: Buffer): void => {
      passedBytes += chunk.length;
      client.write(chunk);
      if (passedBytes < afterBytes) return;
      daemon.off('data', passOn).pause();
      release = () => daemon.pipe(client);
      hold('held');
    };
    daemon.on('data', passOn).on('end', () => client.end());
    client.pipe(daemon);
    // Whoever goes away first takes the other along.
    daemon.on('error', () => client.destroy());
    client.on('error', () => daemon.destroy());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port: own } = server.address() as AddressInfo;
  return { port: own, held, release: () => release(), close: () => server.close() };
}
