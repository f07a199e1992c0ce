/** What building lists and sending files works with, over a module on disk and a connection in memory. */

import { closeSync } from 'node:fs';
import { acquireListSum, acquireTransferSums } from '../../../src/checksum/acquire.ts';
import type { ChecksumName, SumVariant } from '../../../src/checksum/sums.ts';
import type { ListContext } from '../../../src/flist/context.ts';
import { FileLists } from '../../../src/flist/lists.ts';
import { DEFAULT_LIMITS, type Limits } from '../../../src/limits.ts';
import type { ServerOptions } from '../../../src/options/server-options.ts';
import { TimeSlice } from '../../../src/slice.ts';
import type { TransferContext } from '../../../src/transfer/context.ts';
import { DeltaState } from '../../../src/transfer/delta.ts';
import { TransferProgress } from '../../../src/transfer/progress.ts';
import { PlainTokens } from '../../../src/transfer/tokens.ts';
import { type ModuleRoot, ModuleView } from '../../../src/vfs/module-root.ts';
import { openModuleRoot } from '../../../src/vfs/open-root.ts';
import {
  CF_AVOID_XATTR_OPTIM,
  CF_CHKSUM_SEED_FIX,
  CF_ID0_NAMES,
  CF_INC_RECURSE,
  CF_INPLACE_PARTIAL_DIR,
  CF_SAFE_FLIST,
  CF_VARINT_FLIST_FLAGS,
} from '../../../src/wire/constants.ts';
import { ClientMessages } from '../../../src/wire/messages.ts';
import { NdxDecoder, NdxEncoder } from '../../../src/wire/ndx.ts';
import { ByteReader } from '../../../src/wire/reader.ts';
import { FrameWriter } from '../../../src/wire/writer.ts';
import { FakeTransport } from './fake-transport.ts';

/** The options of `-r`, or others. */
export function serverOptions(changes: Partial<ServerOptions> = {}): ServerOptions {
  const off: Partial<ServerOptions> = {
    server: true,
    sender: true,
    recurse: true,
    dirs: false,
    relative: false,
    impliedDirs: true,
    oneFileSystem: 0,
    filesFrom: null,
    appendMode: 0,
    xattrs: 0,
    compression: null,
    checksumChoice: null,
    checksumSeed: 0,
    timeoutSec: 0,
    bwlimitKiB: 0,
    capabilities: null,
    extraFilterRules: [],
    paths: [],
    refusal: null,
  };
  return { ...off, ...changes } as ServerOptions;
}

/** Flags that a server sends to a current client of a protocol. */
export function usualCompatFlags(protocol: number, incRecurse: boolean): number {
  if (protocol < 30) return 0;
  const inc = incRecurse ? CF_INC_RECURSE : 0;
  if (protocol === 30) return CF_SAFE_FLIST | inc;
  const modern = CF_CHKSUM_SEED_FIX | CF_AVOID_XATTR_OPTIM | CF_INPLACE_PARTIAL_DIR | CF_SAFE_FLIST;
  return modern | CF_VARINT_FLIST_FLAGS | CF_ID0_NAMES | inc;
}

export interface ContextPlan {
  readonly root: string;
  readonly protocol?: number;
  readonly incRecurse?: boolean;
  readonly compatFlags?: number;
  readonly options?: Partial<ServerOptions>;
  readonly limits?: Partial<Limits>;
  /** Overrides of the module's settings, or of the filters: names that hide. */
  readonly module?: Partial<ListContext['module']>;
  /** Paths from the module root that the module's filter hides. */
  readonly hidden?: readonly string[];
  /** Wire names that the client's filter hides. */
  readonly excluded?: readonly string[];
  readonly listSum?: ChecksumName | null;
  /** Another view of the module, for trees that differ from the disk. */
  readonly makeView?: (root: ModuleRoot, limits: Limits) => ModuleView;
}

export interface SessionFixture {
  readonly context: ListContext;
  readonly transport: FakeTransport;
  /** Everything that was produced, flushed. */
  sent(): Buffer;
  /** Adds what the transfer phase needs. */
  forTransfer(lists: FileLists, plan?: TransferPlan): Promise<TransferContext>;
  close(): void;
}

export interface TransferPlan {
  /** Where the client's data bytes come from; nothing by default. */
  readonly reader?: ByteReader;
  readonly variant?: SumVariant;
  readonly seed?: number;
}

function filterHiding(hidden: readonly string[]) {
  const hides = (path: Buffer) => hidden.includes(path.toString('latin1'));
  const hidesWithParents = (path: Buffer) =>
    hidden.some((one) => one === path.toString('latin1') || path.toString('latin1').startsWith(`${one}/`));
  return { isEmpty: hidden.length === 0, hides, hidesWithParents };
}

function scopeHiding(hidden: readonly string[]) {
  const scope = { ...filterHiding(hidden), enter: () => scope };
  return scope;
}

/** A session of `-r` at protocol 32 without incremental recursion, or as planned. */
export async function makeSession(plan: ContextPlan): Promise<SessionFixture> {
  const { protocol = 32, incRecurse = false } = plan;
  const limits = { ...DEFAULT_LIMITS, ...plan.limits };
  const transport = new FakeTransport([], 'open');
  const writer = new FrameWriter(transport, limits.outputBytes);
  writer.startMux();
  const rootFd = openModuleRoot(Buffer.from(plan.root), limits);
  const root = { fd: rootFd, linklessPath: null };
  const view = plan.makeView?.(root, limits) ?? new ModuleView(root, limits);
  const listSum = plan.listSum ? await acquireListSum(plan.listSum) : null;
  const context = {
    protocol,
    incRecurse,
    compatFlags: plan.compatFlags ?? usualCompatFlags(protocol, incRecurse),
    options: serverOptions(plan.options),
    limits,
    view,
    module: {
      name: 'm',
      filter: filterHiding(plan.hidden ?? []),
      idNames: { users: new Map(), groups: new Map() },
      ignoreNonreadable: false,
      mungeSymlinks: false,
      outgoingChmod: null,
      ...plan.module,
    },
    filter: { isEmpty: (plan.excluded ?? []).length === 0, rootScope: () => scopeHiding(plan.excluded ?? []) },
    writer,
    messages: new ClientMessages(writer, protocol, limits.fileMessages),
    ndxEncoder: new NdxEncoder(protocol),
    listSum,
    digests: null,
    directories: null,
    slice: new TimeSlice(),
  } as unknown as ListContext;
  return {
    context,
    transport,
    sent() {
      writer.flush();
      return transport.sent;
    },
    async forTransfer(lists, transfer = {}) {
      const { reader = new ByteReader(transport), variant = 'md5', seed = 0 } = transfer;
      return {
        ...context,
        reader,
        lists,
        sums: await acquireTransferSums(variant, seed),
        ndxDecoder: new NdxDecoder(protocol),
        delta: new DeltaState(),
        plainTokens: new PlainTokens(writer),
        compressedTokens: null,
        openNoatime: false,
        traffic: () => ({ bytesRead: 0, bytesWritten: writer.bytesWritten }),
        onSumsAwaited: () => {},
        progress: new TransferProgress(lists, writer),
      } as unknown as TransferContext;
    },
    close() {
      view.close();
      closeSync(rootFd);
    },
  };
}

/** A session whose first list of some arguments has been sent. */
export async function sendLists(
  fixture: SessionFixture,
  args: Parameters<FileLists['sendFirst']>[0],
): Promise<FileLists> {
  const lists = new FileLists(fixture.context);
  await lists.sendFirst(args, [...(args as Iterable<unknown>)].length > 1);
  return lists;
}
