/**
 * Records what the installed rsync client sends as arguments: `node capture.ts` rewrites clients.json beside it.
 *
 * A small server speaks the text phase and keeps the bytes behind `OK` until the client waits. Expected parses are
 * kept under their command line; new ones start as null and are filled in by hand, from the specification.
 */

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { COMMANDS } from './commands.ts';

const FILE = new URL('./clients.json', import.meta.url);
/** Silence after which a client has sent all its arguments: it waits for our preamble. */
const QUIET_MS = 150;

export interface Capture {
  command: string;
  /** First line of the client. */
  greeting: string;
  /** Bytes of the argument lists, as latin1. */
  wire: string;
  /** Fields that differ from a client that asks for nothing; byte strings as latin1. */
  expected: unknown;
}

/** Serves one client; resolves with its greeting and the bytes behind `OK`. */
async function recordClient(socket: Socket): Promise<{ greeting: string; wire: string }> {
  let received = '';
  let isReady = false;
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
    if (isReady || received.split('\n').length < 3) return;
    isReady = true;
    socket.write('@RSYNCD: OK\n');
  });
  socket.write('@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4\n');
  for (let seen = -1; seen !== received.length || !isReady; ) {
    seen = received.length;
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  }
  socket.destroy();
  const [greeting = '', , ...rest] = received.split('\n');
  return { greeting, wire: rest.join('\n') };
}

async function capture(command: string): Promise<{ greeting: string; wire: string }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const args = command
    .split(' ')
    .map((word) => word.replace('HOST', `rsync://127.0.0.1:${port}`).replaceAll('%20', ' '));
  const client = spawn('rsync', args, { stdio: ['pipe', 'ignore', 'ignore'], cwd: '/' });
  client.stdin.end('a.txt\n');
  const [socket] = (await once(server, 'connection')) as [Socket];
  const recorded = await recordClient(socket);
  await once(client, 'exit');
  server.close();
  return recorded;
}

const known = new Map<string, unknown>();
try {
  for (const { command, expected } of JSON.parse(readFileSync(FILE, 'utf8')).captures as Capture[]) {
    known.set(command, expected);
  }
} catch {
  // The first run has no file.
}
const captures: Capture[] = [];
for (const command of COMMANDS) {
  captures.push({ command, ...(await capture(command)), expected: known.get(command) ?? null });
}
const version = execFileSync('rsync', ['--version'], { encoding: 'utf8' }).split('\n')[0];
writeFileSync(FILE, `${JSON.stringify({ version, captures }, null, 1)}\n`);
