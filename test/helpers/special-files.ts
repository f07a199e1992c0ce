/** Entries that node:fs cannot make; tree.ts uses them. */

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { renameSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

/** Makes a fifo or a device node; devices need root. The path must be ASCII. */
export function makeNode(kind: 'fifo' | 'char' | 'block', path: Buffer): void {
  const args = { fifo: ['p'], char: ['c', '1', '3'], block: ['b', '7', '300'] }[kind];
  const made = spawnSync('mknod', [path.toString('latin1'), ...args]);
  if (made.status !== 0) throw new Error(made.stderr.toString('latin1'));
}

/**
 * Makes a socket at `path`.
 *
 * Binds under another name first: closing a server removes the name that it bound, not the one it was given later.
 */
export async function makeSocket(root: string, path: Buffer): Promise<void> {
  const bound = join(root, '.bound');
  const server = createServer().listen(bound);
  await once(server, 'listening');
  renameSync(bound, path);
  server.close();
  await once(server, 'close');
}
