/**
 * A client that does nothing wrong, as a process of its own: pulls the module `honest` again and again for some seconds, with
 * as little work of its own as possible, and prints what it got. Arguments: port, seconds.
 */

import { once } from 'node:events';
import { connect } from 'node:net';
import {
  allDone,
  data,
  enter,
  ItemWriter,
  NO_MORE_FILTERS,
  pullArguments,
  TRANSFER,
  WHOLE_FILE,
} from '../session/support/wire.ts';
import { HONEST_BYTES, HONEST_FILES } from './trees.ts';

/** What the client got. */
export interface HonestReport {
  readonly pulls: number;
  /** Pulls that ended early: with fewer bytes than the files have. */
  readonly short: number;
  readonly seconds: number;
  /** Longest time from connecting to the first bytes of the list, in milliseconds. */
  readonly slowestListMs: number;
}

/** List, then every file in full; without incremental recursion the root is entry 0. */
function dialogue(): Buffer {
  const items = new ItemWriter();
  const requests = Array.from({ length: HONEST_FILES }, (_, index) => items.item(index + 1, TRANSFER, WHOLE_FILE));
  return Buffer.concat([
    enter('honest'),
    pullArguments([], 31, ['honest/']),
    data(31, NO_MORE_FILTERS),
    data(31, ...requests, allDone()),
  ]);
}

/** Everything is read into this: a client is to cost little beside the server. */
const INPUT = Buffer.alloc(1 << 20);

interface Pull {
  readonly bytes: number;
  readonly listMs: number;
}

async function pull(port: number, bytes: Buffer): Promise<Pull> {
  const startedMs = performance.now();
  let received = 0;
  let listMs = 0;
  const onread = {
    buffer: INPUT,
    callback: (count: number) => {
      received += count;
      // Greeting, OK and preamble are shorter than the list.
      if (listMs === 0 && received > 400) listMs = performance.now() - startedMs;
      return true;
    },
  };
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true, onread });
  socket.on('error', () => {});
  await once(socket, 'connect').catch(() => {});
  socket.write(bytes);
  await new Promise<void>((resolve) => socket.once('end', resolve).once('close', resolve));
  socket.destroy();
  return { bytes: received, listMs };
}

const [port, seconds] = process.argv.slice(2).map(Number) as [number, number];
const bytes = dialogue();
console.log('pulling');
const startedMs = performance.now();
let pulls = 0;
let short = 0;
let slowestListMs = 0;
while (performance.now() - startedMs < seconds * 1000) {
  const { bytes: received, listMs } = await pull(port, bytes);
  pulls++;
  if (received < HONEST_BYTES) short++;
  slowestListMs = Math.max(slowestListMs, listMs);
}
const report: HonestReport = { pulls, short, seconds: (performance.now() - startedMs) / 1000, slowestListMs };
console.log(JSON.stringify(report));
