/** What a worker thread does: serves what it was started with and carries out the orders of the main thread; main.ts calls it. */

import { parentPort, workerData } from 'node:worker_threads';
import { type PackedConfig, unpackConfig } from '../config/portable.ts';
import { Bug } from '../errors.ts';
import type { IdNames } from '../flist/ids.ts';
import { limitHits } from '../limit-hits.ts';
import type { Order, Report } from '../listener/workers.ts';
import { createLineLogger, type LogLevel } from '../observe/log.ts';
import { loadXattrCalls } from '../vfs/xattrs.ts';
import { type ListenerKeys, type PackedKeys, unpackKeys } from './listener-keys.ts';
import type { HostTables } from './served-modules.ts';
import { Serving } from './serving.ts';
import type { SharedState } from './shared-state.ts';

/** What a worker gets when it starts. Structured-cloneable. */
export interface WorkerData {
  readonly worker: number;
  readonly state: SharedState;
  readonly limitHits: SharedArrayBuffer;
  readonly logLevel: LogLevel;
  /** Whether somebody will look at how the event loop fares. */
  readonly isWatched: boolean;
  readonly work: Work;
  /** Descriptors of listening sockets, the worker's own, with what their clients get. */
  readonly sockets: readonly { readonly fd: number; readonly keys: PackedKeys }[];
}

/** A configuration with what was read for it. Structured-cloneable. */
export interface Work {
  readonly config: PackedConfig;
  readonly idNames: IdNames;
  /** What bandwidth limits count in. */
  readonly rates: SharedArrayBuffer;
  /** Module roots below which the kernel follows no link. */
  readonly linkless: ReadonlySet<string>;
  readonly epoch: string;
}

/** What the main thread can ask for. `apply` and `keys` are for connections to come. */
export type WorkerOrder =
  | { readonly order: 'apply'; readonly work: Work }
  | { readonly order: 'keys'; readonly listener: number; readonly keys: PackedKeys }
  /** Answered by a Pulse. */
  | { readonly order: 'pulse' }
  /** Answered by a LoopSnapshot. */
  | { readonly order: 'snapshot' }
  /** Accepts no more; answered when the last session has ended. */
  | { readonly order: 'finish' }
  /** Ends all sessions. */
  | { readonly order: 'cut' };

/** Serves until the main thread ends the worker. @throws whatever should end this worker at once. */
export async function runWorker(): Promise<void> {
  const port = parentPort;
  if (port === null) throw new Bug('not a worker');
  const data = workerData as WorkerData;
  const report = (one: Report): void => port.postMessage(one);
  limitHits.shareWith(data.limitHits);
  const logger = createLineLogger(data.logLevel, (lines) => report({ kind: 'lines', lines }));
  process.on('exit', () => logger.flush());
  const { worker, state, work, sockets } = data;
  const serving = new Serving({
    ...{ worker, state, limits: work.config.limits },
    logger: logger.child({ worker }),
  });
  if (data.isWatched) serving.registry.watchLoop(`worker ${worker}`);
  await apply(serving, work);
  const keys: ListenerKeys[] = sockets.map((socket) => unpackKeys(socket.keys));
  for (const [index, { fd }] of sockets.entries()) await serving.listen({ fd }, () => keys[index]!);
  port.on('message', ({ number, body }: Order) => {
    carryOut(body as WorkerOrder, serving, keys).then(
      (answer) => {
        logger.flush();
        report({ kind: 'answer', number, body: answer });
      },
      (thrown) =>
        report({ kind: 'refusal', number, reason: thrown instanceof Error ? thrown.message : String(thrown) }),
    );
  });
  report({ kind: 'ready' });
}

async function carryOut(order: WorkerOrder, serving: Serving, keys: ListenerKeys[]): Promise<unknown> {
  switch (order.order) {
    case 'apply':
      return apply(serving, order.work);
    case 'keys':
      keys[order.listener] = unpackKeys(order.keys);
      return;
    case 'pulse':
      return serving.pulse();
    case 'snapshot':
      return serving.registry.snapshot();
    case 'finish':
      await serving.close();
      return serving.sessions.finished();
    case 'cut':
      serving.sessions.destroyAll();
  }
}

async function apply(serving: Serving, { config: packed, idNames, rates, linkless, epoch }: Work): Promise<void> {
  const config = unpackConfig(packed);
  const tables: HostTables = {
    idNames: { users: asBuffers(idNames.users), groups: asBuffers(idNames.groups) },
    xattrs: config.modules.some(({ xattrs }) => xattrs) ? await loadXattrCalls() : null,
    rates,
    linkless,
    epoch,
  };
  serving.apply(config, tables);
}

/** Sending turns Buffers into plain arrays of bytes. */
function asBuffers(names: ReadonlyMap<number, Uint8Array>): Map<number, Buffer> {
  return new Map(names.entries().map(([id, name]) => [id, Buffer.from(name)]));
}
