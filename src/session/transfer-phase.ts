/** Everything of a session behind the preamble: filters, file list, transfer, goodbye. */

import { acquireListSum, acquireTransferSums } from '../checksum/acquire.ts';
import type { ContentSum, TransferSums } from '../checksum/sums.ts';
import { type CompressionTools, createCompressor } from '../compress/choose.ts';
import { EXIT, ProtocolError, UsageError } from '../errors.ts';
import type { CommonReadings, ReadingMember } from '../flist/common-readings.ts';
import type { ListContext, SharedDigests } from '../flist/context.ts';
import { FileLists } from '../flist/lists.ts';
import type { ListCache, ListCacheSettings, SharedLists } from '../flist/shared-lists.ts';
import { parseSourceArgument, type SourceArgument } from '../flist/source-argument.ts';
import type { Limits } from '../limits.ts';
import type { ServerOptions } from '../options/server-options.ts';
import type { TimeSlice } from '../slice.ts';
import { CompressedTokenWriter, type CompressorFactory } from '../transfer/compressed-tokens.ts';
import { DeltaState } from '../transfer/delta.ts';
import { type SentFile, TransferProgress } from '../transfer/progress.ts';
import { Sender } from '../transfer/sender.ts';
import { skipListFor } from '../transfer/skip-compress.ts';
import type { Traffic } from '../transfer/stats.ts';
import { CompressedTokens, PlainTokens } from '../transfer/tokens.ts';
import { type ModuleRoot, ModuleView } from '../vfs/module-root.ts';
import { CF_INC_RECURSE, IOERR_GENERAL, IOERR_VANISHED } from '../wire/constants.ts';
import { DemuxSource } from '../wire/demux.ts';
import type { ClientMessages } from '../wire/messages.ts';
import { NdxDecoder, NdxEncoder } from '../wire/ndx.ts';
import { ByteReader } from '../wire/reader.ts';
import type { Watchdog } from '../wire/watchdog.ts';
import type { FrameWriter } from '../wire/writer.ts';
import { namesFromFile, namesFromWire } from './files-from.ts';
import { receiveFilters } from './filters.ts';
import { cleanPath } from './paths.ts';
import type { Agreement } from './preamble.ts';
import type { ServedModule } from './served-module.ts';
import { fromStart, type PathStyle, sourcePaths } from './source-paths.ts';

/** Block sums with their index occupy so many times what came. */
const INDEXED = 2;

/** The connection of a session, as far as it has come. */
export interface SessionStreams {
  readonly reader: ByteReader;
  readonly writer: FrameWriter;
  readonly messages: ClientMessages;
  readonly watchdog: Watchdog;
}

/** What is known of a session when its transfer begins. */
export interface TransferSetup {
  readonly streams: SessionStreams;
  readonly protocol: number;
  readonly options: ServerOptions;
  readonly agreement: Agreement;
  readonly module: Pick<ServedModule, 'linklessPath' | 'listing' | 'xattrs' | 'openNoatime' | 'dontCompress'>;
  readonly paths: PathStyle;
  readonly slice: TimeSlice;
  /** Descriptor of the module root; stays the caller's. */
  readonly rootFd: number;
  readonly limits: Limits;
  readonly compressionTools: CompressionTools;
  /** Sums of `-c` kept for others; null where there is one session only. */
  readonly digests: Omit<SharedDigests, 'sum'> | null;
  /** Lists shared with other sessions; null where the module has no `file_list_cache`. */
  readonly listCache: { readonly cache: ListCache; readonly settings: ListCacheSettings } | null;
  /** Directories shared with sessions that list at the same time; null where lists are shared, or there is one session only. */
  readonly readings: CommonReadings | null;
  /** Silence after which the session ends, in milliseconds. */
  readonly idleMs: number;
  readonly onFileSent: (file: SentFile) => void;
  /** Called when the lists begin; the object shows how far the client is from then on. */
  readonly onProgress: (progress: TransferProgress) => void;
  /** Called then, too: `heldBytes` says what the session makes us keep, roughly. */
  readonly onHolding: (heldBytes: () => number) => void;
}

/** Runs the rest of a session whose output is multiplexed already. @throws every error of errors.ts */
export async function runTransfer(setup: TransferSetup): Promise<void> {
  const { options, agreement, limits, protocol, streams } = setup;
  const { watchdog, writer } = streams;
  const traffic = trafficFromHere(streams);
  const framed = protocol >= 30 ? new DemuxSource(streams.reader, limits) : null;
  const reader = framed === null ? streams.reader : new ByteReader(framed, () => writer.flush());
  watchdog.enter({
    ...{ name: 'the filter list', totalMs: limits.filterMs, totalLimit: 'filterMs' },
    ...{ idleMs: limits.filterIdleMs, idleLimit: 'filterIdleMs' },
  });
  const filter = await receiveFilters(reader, { options, protocol, limits, slice: setup.slice });
  watchdog.enter({ name: 'the transfer', totalMs: 0, idleMs: setup.idleMs });
  const view = new ModuleView(rootOf(setup), limits, setup.module.xattrs);
  let listSum: ContentSum | null = null;
  let sums: TransferSums | null = null;
  let compressed: CompressedTokens | null = null;
  let shared: SharedLists | null = null;
  let reading: ReadingMember | null = null;
  const delta = new DeltaState();
  try {
    listSum = options.checksum ? await acquireListSum(agreement.listSum) : null;
    sums = await acquireTransferSums(agreement.transferSum, agreement.checksumSeed);
    const alone = listContext(setup, view, filter, listSum);
    const sources = await sourceArguments(alone, setup, { reader, framed });
    shared = sharedLists(alone, setup, sources);
    reading = commonReadings(alone, setup, sources);
    const context = { ...alone, directories: reading };
    const lists = new FileLists(context, shared?.source);
    const progress = new TransferProgress(lists, writer, setup.onFileSent);
    setup.onProgress(progress);
    setup.onHolding(() => lists.keptBytes + INDEXED * delta.sumBytes);
    watchdog.arrived();
    await lists.sendFirst(sources.args, sources.mayRepeatNames);
    writer.flush();
    if (lists.totals.entries === 0) return;
    compressed = compressedTokens(setup);
    const sender = new Sender({
      ...context,
      reader,
      lists,
      sums,
      ndxDecoder: new NdxDecoder(protocol),
      delta,
      plainTokens: new PlainTokens(writer),
      compressedTokens: compressed,
      openNoatime: setup.module.openNoatime || options.openNoatime,
      traffic,
      onSumsAwaited: (isWaiting) =>
        isWaiting && limits.sumsIdleMs < setup.idleMs
          ? watchdog.allowSilence(limits.sumsIdleMs, 'sumsIdleMs')
          : watchdog.allowSilence(setup.idleMs),
      progress,
    });
    await sender.run();
  } finally {
    listSum?.release();
    sums?.release();
    delta.release();
    compressed?.release();
    shared?.close();
    reading?.leave();
    view.close();
  }
}

/** The exit code of a transfer that came to its end. */
export function transferExit(messages: ClientMessages): number {
  if (messages.ioError & IOERR_GENERAL || messages.hasFileErrors) return EXIT.PARTIAL;
  return messages.ioError & IOERR_VANISHED ? EXIT.VANISHED : EXIT.OK;
}

/** Counts what C rsync's statistics count: nothing of the handshake. */
function trafficFromHere({ reader, writer }: TransferSetup['streams']): () => Traffic {
  const [readBefore, writtenBefore] = [reader.bytesRead, writer.bytesWritten];
  return () => ({ bytesRead: reader.bytesRead - readBefore, bytesWritten: writer.bytesWritten - writtenBefore });
}

function rootOf({ rootFd, module, paths }: TransferSetup): ModuleRoot {
  return { fd: rootFd, linklessPath: module.linklessPath, isWholeSystem: paths.kind === 'system' };
}

function listContext(
  setup: TransferSetup,
  view: ModuleView,
  filter: ListContext['filter'],
  listSum: ContentSum | null,
): ListContext {
  const { protocol, options, agreement, limits, module, streams, digests, slice } = setup;
  return {
    protocol,
    incRecurse: (agreement.compatFlags & CF_INC_RECURSE) !== 0,
    compatFlags: agreement.compatFlags,
    options,
    limits,
    view,
    module: module.listing,
    filter,
    writer: streams.writer,
    messages: streams.messages,
    ndxEncoder: new NdxEncoder(protocol),
    listSum,
    digests: digests === null || agreement.listSum === 'none' ? null : { ...digests, sum: agreement.listSum },
    directories: null,
    slice,
  };
}

/** The session's compressor, behind the token format that it needs; null without compression. */
function compressedTokens(setup: TransferSetup): CompressedTokens | null {
  const { options, agreement, protocol, compressionTools, streams, module, limits } = setup;
  const { compression } = agreement;
  if (compression === null) return null;
  const factoryFor =
    (level: number): CompressorFactory =>
    (sink) =>
      createCompressor({ ...compression, level }, protocol, compressionTools, sink);
  // Only deflate starts anew with each file, so only there one file may be stored and the next compressed.
  const isDeflate = compression.name === 'zlib' || compression.name === 'zlibx';
  const stored = isDeflate ? factoryFor(0) : null;
  const skips = skipListFor(options.compression?.skipSuffixes ?? null, module.dontCompress, limits);
  return new CompressedTokens(new CompressedTokenWriter(streams.writer, factoryFor(compression.level), stored), skips);
}

/** Null when the session scans for itself. */
function sharedLists(context: ListContext, setup: TransferSetup, { args }: Sources): SharedLists | null {
  const { listCache } = setup;
  if (listCache === null) return null;
  const known = Array.isArray(args) ? args : null;
  return listCache.cache.open({ context, root: rootOf(setup), args: known, settings: listCache.settings });
}

/** Null when nobody else could list the same. */
function commonReadings(context: ListContext, { readings }: TransferSetup, { args }: Sources): ReadingMember | null {
  return readings !== null && Array.isArray(args) ? readings.join(context, args) : null;
}

interface Sources {
  readonly args: Iterable<SourceArgument> | AsyncIterable<SourceArgument>;
  readonly mayRepeatNames: boolean;
}

/** The arguments of the file list: paths of the command line, or the names of --files-from below the single path. */
async function sourceArguments(
  context: ListContext,
  setup: TransferSetup,
  input: { reader: ByteReader; framed: DemuxSource | null },
): Promise<Sources> {
  const { options } = setup;
  const paths = await sourcePaths(context, setup.paths);
  const { filesFrom } = options;
  if (filesFrom === null) {
    return { args: paths.map((path) => parseSourceArgument(path, options.relative)), mayRepeatNames: paths.length > 1 };
  }
  if (paths.length > 1) throw new UsageError('--files-from takes one source\n', { exit: 1 });
  const names =
    filesFrom.kind === 'file'
      ? namesFromFile(context, fromStart(setup.paths, filesFrom.path))
      : namesFromWire(namesReader(setup, input), setup.limits);
  return { args: belowStart(paths[0] ?? Buffer.alloc(0), names, options.relative), mayRepeatNames: true };
}

/** Protocol 30 carries the names outside the frames (1-session.md 8.1). */
function namesReader(setup: TransferSetup, input: { reader: ByteReader; framed: DemuxSource | null }): ByteReader {
  if (setup.protocol !== 30 || input.framed === null) return input.reader;
  if (!input.framed.atFrameBoundary || input.reader.available > 0) {
    throw new ProtocolError('data behind the filter list where raw names should be');
  }
  return setup.streams.reader;
}

async function* belowStart(
  start: Buffer,
  names: Iterable<Buffer> | AsyncIterable<Buffer>,
  relative: boolean,
): AsyncGenerator<SourceArgument> {
  const base = Buffer.concat([start, Buffer.from(start.length === 0 || start.at(-1) === 0x2f ? '' : '/')]);
  for await (const name of names) {
    const cleaned = cleanPath(name, relative);
    // `/./` marks where the relative names begin, whatever the name itself holds.
    const marked = relative && base.length > 0 && cleaned.indexOf('/./') < 0;
    yield parseSourceArgument(Buffer.concat([base, Buffer.from(marked ? './' : ''), cleaned]), relative);
  }
}
