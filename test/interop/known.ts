/** Whether a client has the options of a case: what it does not have is no case for it. The matrix asks. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { rsync } from '../helpers/rsync.ts';
import type { RsyncClient } from '../setup/clients.ts';
import type { EquivalenceCase } from './cases.ts';

const asked = new Map<string, Promise<boolean>>();

/**
 * Starts the client with these options and a port that nobody listens on: it knows them all if it gets as far as the
 * connection. Remembered for each client and list of options.
 * @param dir a directory for what the client may want to read or make.
 */
export function knowsOptions(client: RsyncClient, { args }: EquivalenceCase, dir: string): Promise<boolean> {
  const key = [client.name, ...args].join('\0');
  const known = asked.get(key) ?? reachesConnection(client, args, join(dir, `probe${asked.size}`));
  asked.set(key, known);
  return known;
}

async function reachesConnection(client: RsyncClient, args: readonly string[], dir: string): Promise<boolean> {
  mkdirSync(join(dir, 'dst'), { recursive: true });
  mkdirSync(join(dir, 'spare'));
  // Port 1 of the loopback device: nothing there, and the refusal comes at once.
  const result = await rsync([...args, 'rsync://127.0.0.1:1/m/', 'dst/'], { cwd: dir, deadlineMs: 20_000 }, client);
  // openrsync says "connect refused".
  return /connect(ion)? refused/i.test(result.stderr.toString('latin1'));
}
