/** What sessions cost that transfer nothing: many short ones, and many that wait. */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { makeManyFiles } from '../../helpers/many-files.ts';
import { metered } from '../pulls.ts';
import type { Figures, Scenario, Server } from '../scenario.ts';

const LISTINGS = 400;
const IDLE_SESSIONS = 500;

/** Sessions that are opened at once: fewer than either daemon's handshakes at a time. */
const OPENED_AT_ONCE = 25;

/** An old protocol needs no negotiation: these bytes lead up to the file list, and then the client is silent. */
const ARGUMENTS = '--server\n--sender\n-r\n.\nidle/\n\n';
const NO_FILTERS = Buffer.alloc(4);

async function openIdle(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  let received = '';
  const until = async (text: string): Promise<void> => {
    while (!received.includes(text)) {
      const [chunk] = (await once(socket, 'data')) as [Buffer];
      received += chunk.toString('latin1');
    }
  };
  socket.write('@RSYNCD: 29.0\n');
  await until('@RSYNCD: ');
  socket.write('idle\n');
  await until('@RSYNCD: OK\n');
  socket.write(Buffer.concat([Buffer.from(ARGUMENTS), NO_FILTERS]));
  await until('.dat');
  return socket;
}

/** What rsync does for a listing; starting rsync itself would take ten times as long as the session. */
async function listModules(port: number): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: false });
  socket.write('@RSYNCD: 32.0 md5 md4\n#list\n');
  let received = '';
  for await (const chunk of socket) received += String(chunk);
  if (!received.includes('listings')) throw new Error(`no module in the listing: ${received}`);
}

async function withIdleSessions(server: Server, count: number): Promise<Figures> {
  const sockets: Socket[] = [];
  try {
    for (let opened = 0; opened < count; opened += OPENED_AT_ONCE) {
      const batch = Array.from({ length: Math.min(OPENED_AT_ONCE, count - opened) }, () => openIdle(server.port));
      sockets.push(...(await Promise.all(batch)));
    }
    return { memory: pssMiB(server) };
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

/** Proportional memory of all processes of a server. */
function pssMiB(server: Server): number {
  const kib = server.meter.pids().map((pid) => {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
    return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)![1]);
  });
  return kib.reduce((sum, value) => sum + value, 0) / 1024;
}

const fewFiles: Scenario['prepare'] = (dir) => makeManyFiles(join(dir, 'module'), 100);

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'listings',
    title: '400 module listings one after the other',
    targets: { cpu: 0.1, wall: 0.3 },
    run: (server, _dir, _out, scale) =>
      metered(server, async () => {
        for (let i = 0; i < LISTINGS * scale; i++) await listModules(server.port);
      }),
  },
  {
    name: 'idle',
    title: '500 idle sessions: memory (PSS) of everything',
    targets: { memory: 1 },
    warmUps: 0,
    prepare: fewFiles,
    run: (server, _dir, _out, scale) => withIdleSessions(server, Math.round(IDLE_SESSIONS * scale)),
  },
  {
    name: 'rest',
    title: 'memory at rest (PSS), a worker per core',
    targets: {},
    hasReference: false,
    warmUps: 0,
    prepare: fewFiles,
    run: async (server) => ({ memory: pssMiB(server) }),
  },
];
