/** Bounds of limits.ts that end no session, or that no single client reaches: each at N - 1, N and N + 1, with its counter. */

import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { acquireTransferSums } from '../../src/checksum/acquire.ts';
import { loadChecksums } from '../../src/checksum/pool.ts';
import { Limiter } from '../../src/compress/limiter.ts';
import { LimitError, type RsyncError } from '../../src/errors.ts';
import { hasWildcards, StepMeter, Wildmatch } from '../../src/filter/wildmatch.ts';
import { DigestCache } from '../../src/flist/digest-cache.ts';
import { LiteralCache } from '../../src/flist/literal-cache.ts';
import { XattrEncoder, XattrListBuilder } from '../../src/flist/xattrs.ts';
import { DEFAULT_LIMITS, type LimitName, type Limits } from '../../src/limits.ts';
import { Admission, AdmissionRefusal } from '../../src/listener/admission.ts';
import { behindProxy } from '../../src/listener/proxy.ts';
import { KexGate } from '../../src/listener/ssh/kex-gate.ts';
import { MessageRate } from '../../src/listener/ssh/message-rate.ts';
import type { Logger } from '../../src/observe/log.ts';
import { createSessionLogger, LogBudget } from '../../src/observe/session-log.ts';
import { TransferLog } from '../../src/observe/transfer-log.ts';
import { expandGlobs, type GlobDeps } from '../../src/session/globs.ts';
import { moduleListing } from '../../src/session/greeting.ts';
import { HeldMemory } from '../../src/session/held-memory.ts';
import { OverloadJudge } from '../../src/session/overload.ts';
import { SharedCounts } from '../../src/shared.ts';
import { TimeSlice } from '../../src/slice.ts';
import { SharedStore } from '../../src/store/shared-store.ts';
import { storeKey } from '../../src/store/slots.ts';
import { BlockIndex } from '../../src/transfer/block-index.ts';
import { BlockSums } from '../../src/transfer/block-sums.ts';
import { parseSumHead, writeSumHead } from '../../src/transfer/sum-head.ts';
import type { FileStats } from '../../src/vfs/module-root.ts';
import { XattrCalls } from '../../src/vfs/xattrs.ts';
import { FrameWriter } from '../../src/wire/writer.ts';
import { hitsOf } from '../helpers/hits.ts';
import { FakeTransport } from './support/fake-transport.ts';
import { written } from './support/streams.ts';
import { clientSums, search } from './transfer/match-helpers.ts';

const N = 40;

/** A page for each of what a cache keeps. */
const PAGE_BYTES = 32;

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** Does what uses `count` of a bound that is N. */
type Use = (count: number, limits: Limits) => unknown;

const times = (count: number, act: (index: number) => unknown): void => {
  for (let index = 0; index < count; index++) act(index);
};

const quiet = (): Logger => {
  const silent = (): void => {};
  const logger: Logger = {
    ...{ trace: silent, debug: silent, info: silent, warn: silent, error: silent, fatal: silent },
    isLevelEnabled: () => true,
    child: () => logger,
  };
  return logger;
};

/** Connections of a proxy that say nothing. */
function headless(count: number, limits: Limits): void {
  const sockets = Array.from({ length: count }, () => new Socket());
  let refusal: RsyncError | null = null;
  const onRefused = (_peer: unknown, reason: RsyncError): void => {
    refusal ??= reason;
  };
  const accept = behindProxy(() => {}, { trusts: () => true, limits, waiting: new SharedCounts(), onRefused });
  for (const socket of sockets) accept(socket);
  const met = refusal;
  for (const socket of sockets) socket.destroy();
  if (met !== null) throw met;
}

/** Connections from addresses that `address` names. */
const connections =
  (address: (index: number) => string, isServed = true): Use =>
  (count, limits) => {
    const admission = new Admission(limits, () => 0.999_999);
    times(count, (index) => {
      const ticket = admission.admit({ address: address(index), port: 1 });
      if (isServed && !(ticket instanceof AdmissionRefusal)) ticket.argumentsComplete();
    });
  };

/** Clients from addresses that `address` names, behind one that has the only place of a module. */
const waiters =
  (address: (index: number) => string): Use =>
  (count, limits) => {
    const wide = { connections: 1000, handshakes: 1000, connectionsPerAddress: 1000, connectionsPerNetwork: 1000 };
    const admission = new Admission({ ...limits, ...wide }, () => 0.999_999);
    times(count + 1, (index) => {
      const ticket = admission.admit({ address: index === 0 ? '' : address(index), port: 1 });
      if (ticket instanceof AdmissionRefusal) throw new Error(ticket.cap);
      if (ticket.enterModule('pub', { max: 1, queue: 1000 })) ticket.queueUp();
    });
  };

const sumsOf =
  (head: (count: number) => { count: number; blockLength?: number; strongLength?: number }): Use =>
  (count, limits) =>
    new BlockSums({ blockLength: 700, strongLength: 2, remainder: 0, ...head(count) }, { digestLength: 16, limits });

/** Blocks with one weak sum and `count` different strong sums. */
async function crowd(count: number, { matchCandidates: candidates }: Limits): Promise<void> {
  const wire = Buffer.alloc(count * 6);
  times(count, (index) => wire.writeUInt16LE(index, index * 6 + 4));
  const head = { count, blockLength: 700, strongLength: 2, remainder: 0 };
  const sums = new BlockSums(head, { digestLength: 16, limits: DEFAULT_LIMITS });
  sums.append(wire);
  await BlockIndex.build(sums, { candidates, seed: 1, bitmap: null }, new TimeSlice());
}

/** A search that hashes as many bytes as its file has, in blocks as large as the least that is charged. */
async function hashes(count: number, limits: Limits): Promise<void> {
  await loadChecksums();
  const transferSums = await acquireTransferSums('xxh128', 1);
  const blockLength = 256;
  const file = Buffer.alloc(blockLength * count, 7);
  const sums = await clientSums(file, transferSums, { blockLength, strongLength: 16 });
  await search({
    ...{ sums, transferSums, file },
    options: { limits: { ...limits, matchHashPerByte: 0, matchHashBase: N * blockLength } },
  });
}

/** Wildcards whose every match takes a millisecond. */
async function slowGlobs(count: number, limits: Limits): Promise<void> {
  let clockMs = 0;
  const deps: GlobDeps = {
    readdir: (directory) => (directory.length > 0 ? [] : Array.from({ length: count }, (_, index) => `n${index}`)),
    isDirectory: (path) => String(path) === 'empty',
    exists: () => true,
    hidden: () => false,
    compileGlob: () => ({
      matches: () => {
        clockMs++;
        return true;
      },
    }),
    hasWildcards,
    literalOf: (text) => text,
    slice: new TimeSlice(),
    cpuMs: () => clockMs,
  };
  // What the first has used is known when the second reads its directory.
  await expandGlobs([{ text: bytes('*') }, { text: bytes('empty/*') }], deps, { ...limits, globMs: N });
}

function xattrValue(count: number, { xattrValueBytes }: Limits): void {
  const calls = new XattrCalls({
    llistxattr: () => 0n,
    lgetxattr: (_path, _name, into) => BigInt(into.fill(0, 0, count) === into ? count : 0),
    errno: () => 0,
  });
  calls.value(bytes('/f'), bytes('user.a'), xattrValueBytes);
}

const storeOf = (limit: LimitName): SharedStore =>
  new SharedStore({ bytes: SharedStore.bytesFor(N, PAGE_BYTES), pageBytes: PAGE_BYTES, limit });

/** Sums that fill the cache and go over. */
function digests(count: number): void {
  const cache = new DigestCache(storeOf('digestCacheBytes'));
  times(count, (index) => {
    const listed = { dev: 1n, ino: BigInt(index), size: 1n, mtimeNs: 1n, ctimeNs: 1n } as FileStats;
    cache.keep('md5', bytes('sum'), { listed, before: listed, after: listed, begunMs: Date.now() });
  });
}

/** Lists of one tree that fill the cache and go over. */
function lists(count: number): void {
  const store = storeOf('listCacheBytes');
  times(count, (index) => {
    const claimed = store.claim(storeKey(`list ${index}`), 1, 0);
    if (claimed.kind === 'ours') store.publish(claimed.claim, [Buffer.alloc(PAGE_BYTES)], true);
  });
}

/** Sessions of two workers that together hold as many percent. */
function held(count: number, limits: Limits): void {
  const memory = new SharedArrayBuffer(HeldMemory.BYTES);
  const percent = 1024 * 1024;
  const [ours, theirs] = [0, 1].map((worker) => new HeldMemory({ memory, worker }));
  ours!.note([percent, percent]);
  theirs!.note([(count - 2) * percent]);
  const judge = new OverloadJudge(limits);
  times(2, () => {
    const met = judge.look({ lagMs: 0, heapPercent: 0, heldPercent: ours!.total / percent });
    if (met !== null) throw new LimitError(met, 'too much');
  });
}

/** Output that waits for a client which takes nothing. */
function output(count: number, { outputBytes }: Limits): void {
  const transport = new FakeTransport();
  transport.holdsWrites = true;
  const writer = new FrameWriter(transport, outputBytes);
  writer.putBytes(Buffer.alloc(count));
  writer.flush();
  void writer.drain();
}

/** Jobs that run at once. */
async function compressions(count: number, { compressionJobs }: Limits): Promise<void> {
  const limiter = new Limiter(compressionJobs);
  const gate = Promise.withResolvers<void>();
  const jobs = Array.from({ length: count }, () => limiter.run(() => gate.promise));
  gate.resolve();
  await Promise.all(jobs);
}

/** Handshakes that want to begin within one second. */
const handshakes =
  (rate: 'sshKexPerSecond' | 'tlsHandshakesPerSecond'): Use =>
  async (count, limits) => {
    const gate = new KexGate({ sshKexPerSecond: limits[rate], sshKexWaiting: N }, undefined, rate);
    await Promise.all(Array.from({ length: count }, () => gate.enter()));
  };

/** Distinct sets of names; each is remembered with four characters, twice. */
function xattrNames(count: number, limits: Limits): void {
  written((writer) => {
    const encoder = new XattrEncoder(writer, { ...limits, xattrNameBytes: 8 * N });
    times(count, (index) => {
      const list = new XattrListBuilder(DEFAULT_LIMITS);
      list.add(Buffer.of(65 + index), Buffer.alloc(40));
      encoder.put(list.finish());
    });
  });
}

/** Matches of many names under a bound of steps: a session's first names may take longer than the average. */
function match(limit: 'wildmatchStepsPerByte' | 'filterStepsPerName', allowed: number): void {
  const [pattern, name] = ['*a*b*c?', 'aabbccaabbccx'];
  const meter = new StepMeter({ wildmatchStepsPerByte: 1000, filterStepsPerName: 1e6, [limit]: allowed });
  const compiled = new Wildmatch(bytes(pattern));
  times(20_000, () => {
    meter.beginName();
    compiled.matches(bytes(name), 0, name.length, meter);
  });
}

const USES: Partial<Readonly<Record<LimitName, Use>>> = {
  connections: connections(() => ''),
  handshakes: connections((index) => `192.0.${index}.1`, false),
  connectionsPerAddress: connections(() => '192.0.2.1'),
  connectionsPerNetwork: connections((index) => `192.0.2.${index}`),
  queued: waiters(() => ''),
  queuedPerAddress: (count, limits) => waiters(() => '192.0.2.1')(count, { ...limits, queuedPerNetwork: 1000 }),
  queuedPerNetwork: waiters((index) => `192.0.2.${index}`),
  proxyHeadersWaiting: headless,
  globMs: slowGlobs,
  xattrValueBytes: xattrValue,
  xattrEntryBytes: (count, limits) => new XattrListBuilder(limits).add(bytes('user.a'), Buffer.alloc(count)),
  xattrLists: (count, { xattrLists }) => {
    const cache = new LiteralCache(xattrLists);
    times(count, (index) => cache.indexOf(Buffer.of(index)));
  },
  xattrNameBytes: xattrNames,
  blockSums: sumsOf((count) => ({ count })),
  blockSumBytes: sumsOf((count) => ({ count, strongLength: 1 })),
  matchBlockBytes: sumsOf((count) => ({ count: 1, blockLength: count })),
  matchCandidates: crowd,
  matchHashPerByte: hashes,
  digestCacheBytes: digests,
  listCacheBytes: lists,
  heldPercent: held,
  outputBytes: output,
  compressionJobs: compressions,
  sshKexPerSecond: handshakes('sshKexPerSecond'),
  tlsHandshakesPerSecond: handshakes('tlsHandshakesPerSecond'),
  listingBytes: (count, limits) => moduleListing([{ name: 'a', comment: 'x'.repeat(count - 31) }], limits),
  logLinesPerSession: (count, limits) => {
    const logger = createSessionLogger(quiet(), new LogBudget(DEFAULT_LIMITS), limits, {});
    times(count, () => logger.info('line'));
  },
  logLinesPerSecond: (count, limits) => {
    const budget = new LogBudget(limits, () => 0);
    times(count, () => budget.take(quiet()));
  },
  logFilesPerSecond: (count, limits) => {
    const log = new TransferLog(limits, () => 0);
    const session = { peer: '', port: 1, module: 'pub' };
    times(count, () => log.fileSent(quiet(), session, 1, { sizeBytes: 1, wireBytes: 1, path: () => bytes('f') }));
  },
  sshMessagesPerMinute: (count, limits) => {
    const rate = new MessageRate(limits, () => 0);
    times(count, () => rate.count());
  },
};

describe('a bound', () => {
  it.each(Object.entries(USES) as [LimitName, Use][])(
    '%s is not met at N - 1 and N, and is met and counted at N + 1',
    async (limit, use) => {
      const limits = { ...DEFAULT_LIMITS, [limit]: N };
      expect(await hitsOf(limit, () => use(N - 1, limits))).toBe(0);
      expect(await hitsOf(limit, () => use(N, limits))).toBe(0);
      expect(await hitsOf(limit, () => use(N + 1, limits))).toBe(1);
    },
  );

  it('blockSumsRefused ends the session from its number on', async () => {
    const parse = (count: number) => () => {
      const head = Buffer.alloc(16);
      writeSumHead(head, 0, { count, blockLength: 700, strongLength: 2, remainder: 0 });
      parseSumHead(head, { protocol: 31, digestLength: 16, limits: { blockSumsRefused: N } });
    };
    const hits = [N - 2, N - 1, N, N + 1].map((count) => hitsOf('blockSumsRefused', parse(count)));
    expect(await Promise.all(hits)).toEqual([0, 0, 1, 1]);
  });

  it.each(['wildmatchStepsPerByte', 'filterStepsPerName'] as const)(
    '%s ends the session one step too late',
    async (limit) => {
      const hits = (allowed: number) => hitsOf(limit, () => match(limit, allowed));
      let needed = 1;
      while ((await hits(needed)) > 0) needed++;
      expect(needed).toBeGreaterThan(1);
      expect([await hits(needed + 1), await hits(needed), await hits(needed - 1)]).toEqual([0, 0, 1]);
    },
  );

  it('sshKexWaiting lets N wait for a turn and refuses one more', async () => {
    const waiting = async (count: number): Promise<number> => {
      const gate = new KexGate({ sshKexPerSecond: 1, sshKexWaiting: 3 });
      await gate.enter();
      for (let index = 1; index < count; index++) gate.enter().catch(() => {});
      return hitsOf('sshKexWaiting', () => Promise.race([gate.enter(), Promise.resolve()]));
    };
    expect([await waiting(2), await waiting(3), await waiting(4)]).toEqual([0, 0, 1]);
  });
});
