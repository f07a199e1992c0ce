/** The life of the one session behind a remote shell: no greeting, no module, arguments from the command line (1-session.md 3.5, 5.1). */

import { type CompressionTools, requireLibrary } from '../compress/choose.ts';
import { Bug, ConfigError, EXIT, PeerGone, RsyncError, UsageError } from '../errors.ts';
import type { ModuleListing } from '../flist/context.ts';
import { DEFAULT_LIMITS, type Limits } from '../limits.ts';
import { parseServerArgs, requestsSecludedArgs } from '../options/parse.ts';
import type { ServerOptions } from '../options/server-options.ts';
import { TimeSlice } from '../slice.ts';
import type { XattrCalls } from '../vfs/xattrs.ts';
import { PROTOCOL_MAX, PROTOCOL_MIN } from '../wire/constants.ts';
import { ClientExit } from '../wire/demux.ts';
import { ClientMessages } from '../wire/messages.ts';
import { ByteReader } from '../wire/reader.ts';
import { ThrottledTransport } from '../wire/throttle.ts';
import type { Transport } from '../wire/transport.ts';
import { Watchdog } from '../wire/watchdog.ts';
import { FrameWriter } from '../wire/writer.ts';
import { readSecludedArguments } from './arguments.ts';
import { exchangePreamble } from './preamble.ts';
import type { PathStyle } from './source-paths.ts';
import { runTransfer, transferExit } from './transfer-phase.ts';

/** Highest protocol number that a client may say; beyond it, what came is no number (1-session.md 5.1). */
const PROTOCOL_PLAUSIBLE = 40;

/** Without --timeout, a client hears from us this often (1-session.md 6.4). */
const KEEP_ALIVE_MS = 30_000;

/**
 * The bounds of a process that serves one client, let in by its shell: what protects strangers from each other is wider, since the
 * kernel has bounded the command line, and a backup may take days or wait long for its disk. What bounds memory stays.
 */
export const SHELL_LIMITS: Readonly<Limits> = Object.freeze({
  ...DEFAULT_LIMITS,
  args: 1_000_000,
  argsTotalBytes: 16 * 1024 * 1024,
  globPatterns: 1000,
  fileMessages: 1_000_000,
  sessionMs: 0,
  outputStallMs: 24 * 60 * 60_000,
});

/** What the session is to serve. */
export interface ShellRequest {
  /** Behind the program's name, no longer escaped for a shell. */
  readonly args: readonly Buffer[];
  readonly paths: PathStyle;
  /** Descriptor of the directory that paths start at, `/` for the style `system`; stays the caller's. */
  readonly rootFd: number;
  readonly listing: ModuleListing;
  readonly limits: Limits;
  readonly compression: CompressionTools;
  /** Called when the client wants extended attributes. @throws ConfigError where they cannot be read. */
  readonly loadXattrs: () => Promise<XattrCalls>;
  /** Takes lines for the user while messages cannot travel in frames yet. */
  readonly complain: (text: string) => void;
  /** Takes what only the owner of this process should see of an exception of ours. */
  readonly reportBug: (thrown: unknown) => void;
}

/** Serves one client to its end. Never throws. @returns the exit code of the process, and so of the client. */
export async function runShellSession(transport: Transport, request: ShellRequest): Promise<number> {
  return new ShellSession(transport, request).run();
}

class ShellSession {
  readonly #request: ShellRequest;
  readonly #transport: ThrottledTransport;
  readonly #writer: FrameWriter;
  readonly #reader: ByteReader;
  readonly #watchdog: Watchdog;
  #messages: ClientMessages | null = null;

  constructor(inner: Transport, request: ShellRequest) {
    const { limits } = request;
    const transport = new ThrottledTransport(inner);
    this.#request = request;
    this.#transport = transport;
    this.#writer = new FrameWriter(transport, limits.outputBytes);
    this.#reader = new ByteReader(transport, () => this.#writer.flush());
    this.#watchdog = new Watchdog({
      transport,
      reader: this.#reader,
      writer: this.#writer,
      outputStallMs: limits.outputStallMs,
      sessionMs: limits.sessionMs,
    });
  }

  async run(): Promise<number> {
    let exit: number;
    let hasFailed = false;
    try {
      exit = await this.#serve();
    } catch (thrown) {
      exit = this.#fail(this.#watchdog.expired ?? thrown);
      hasFailed = true;
    }
    try {
      await this.#end(hasFailed);
    } catch (thrown) {
      if (!(thrown instanceof PeerGone)) exit = this.#fail(thrown);
    } finally {
      this.#watchdog.stop();
      this.#transport.destroy();
    }
    return exit;
  }

  async #serve(): Promise<number> {
    const { args, limits, compression } = this.#request;
    this.#watchdog.enter({ name: 'the negotiation', totalMs: limits.filterMs, idleMs: 0 });
    const second = requestsSecludedArgs(args, false) ? await readSecludedArguments(this.#reader, limits) : null;
    // Which protocol it is to be depends on the options, and what the options mean on the protocol.
    const protocol = await this.#exchangeVersions(this.#parse(second, PROTOCOL_MAX));
    const options = this.#parse(second, protocol);
    const agreement = await exchangePreamble(this.#reader, this.#writer, { options, protocol, tools: compression });
    this.#writer.startMux();
    const messages = new ClientMessages(this.#writer, protocol, limits.fileMessages);
    this.#messages = messages;
    if (options.refusal !== null) throw options.refusal;
    requireLibrary(agreement.compression, compression);
    const xattrs = options.acls || options.xattrs > 0 ? await this.#xattrs() : null;
    this.#prepare(options, messages);
    await runTransfer({
      options,
      agreement,
      protocol,
      limits,
      module: { linklessPath: null, listing: this.#request.listing, xattrs, openNoatime: false, dontCompress: null },
      paths: this.#request.paths,
      slice: new TimeSlice(),
      rootFd: this.#request.rootFd,
      streams: { reader: this.#reader, writer: this.#writer, messages, watchdog: this.#watchdog },
      compressionTools: compression,
      digests: null,
      listCache: null,
      readings: null,
      idleMs: options.timeoutSec * 1000,
      onFileSent: () => {},
      onProgress: () => {},
      onHolding: () => {},
    });
    return transferExit(messages);
  }

  #parse(secondBatch: readonly Buffer[] | null, protocol: number): ServerOptions {
    return parseServerArgs(this.#request.args, {
      protocol,
      daemon: false,
      secondBatch,
      features: { compression: true, xattrs: true },
      refusePatterns: [],
      limits: this.#request.limits,
    });
  }

  /** @returns the lower of both sides' versions. @throws UsageError when there is none that both speak. */
  async #exchangeVersions({ preRelease }: ServerOptions): Promise<number> {
    const ours = versionFor(preRelease);
    this.#writer.putInt32(ours);
    const theirs = await this.#reader.readInt32('protocol version');
    const protocol = Math.min(ours, theirs);
    if (theirs > PROTOCOL_PLAUSIBLE || protocol < PROTOCOL_MIN) {
      const tell = 'protocol version mismatch -- is your shell clean?\n';
      throw new UsageError(tell, { exit: EXIT.PROTOCOL });
    }
    return protocol;
  }

  #prepare(options: ServerOptions, messages: ClientMessages): void {
    if (options.quiet) messages.setQuiet();
    if (options.bwlimitKiB > 0) this.#transport.limitTo(options.bwlimitKiB * 1024);
    const halfTimeoutMs = options.timeoutSec * 500;
    this.#watchdog.keepAliveEvery(halfTimeoutMs > 0 ? Math.min(KEEP_ALIVE_MS, halfTimeoutMs) : KEEP_ALIVE_MS);
  }

  async #xattrs(): Promise<XattrCalls> {
    try {
      return await this.#request.loadXattrs();
    } catch (thrown) {
      if (!(thrown instanceof ConfigError)) throw thrown;
      throw new UsageError('rsync: extended attributes cannot be read here\n', { cause: thrown });
    }
  }

  /** Tells the user in the form that the client understands by now. @returns the exit code. */
  #fail(thrown: unknown): number {
    const error = thrown instanceof RsyncError ? thrown : new Bug('unexpected exception', { cause: thrown });
    const messages = this.#messages;
    if (error instanceof Bug) this.#request.reportBug(thrown);
    if (messages === null) this.#request.complain(`gokr-rsyncd: ${error.tell?.trimEnd() ?? error.message}`);
    else if (error instanceof ClientExit) messages.acknowledgeExit();
    else if (error.tell !== undefined) {
      const prefix = error instanceof UsageError ? '' : 'rsync: [sender] ';
      messages.fatal(Buffer.from(`${prefix}${error.tell.trimEnd()}\n`, 'latin1'), error.exit);
    }
    return error.exit;
  }

  /**
   * Lets everything out. A client that we have failed may still be writing: if we ended now, it would meet a broken pipe before it
   * comes to our reason (1-session.md 6.5). One that has what it wanted waits for our end before it closes its side.
   */
  async #end(hasFailed: boolean): Promise<void> {
    const { limits } = this.#request;
    this.#watchdog.enter({ name: 'the end', totalMs: 0, idleMs: 0 });
    this.#writer.flush();
    this.#transport.endWrite();
    if (!hasFailed) return this.#transport.drained(0);
    const timer = setTimeout(() => this.#transport.destroy(), limits.drainMs);
    try {
      await this.#reader.discard(limits.drainBytes);
    } finally {
      clearTimeout(timer);
    }
    await this.#transport.drained(0);
  }
}

/** A pre-release client speaks its new protocol only with its like (1-session.md 4.2). */
function versionFor(preRelease: ServerOptions['preRelease']): number {
  if (preRelease === null || preRelease.sub === 0 || preRelease.version > PROTOCOL_MAX) return PROTOCOL_MAX;
  return preRelease.version - 1;
}
