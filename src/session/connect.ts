/** From the first byte to `OK`: greeting, module, access, login (1-session.md 2). */

import { SandboxError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { SessionRecord } from '../observe/session-log.ts';
import { onDemand } from '../on-demand.ts';
import { openModuleRoot } from '../vfs/open-root.ts';
import type { ByteReader } from '../wire/reader.ts';
import type { PeerAddress } from '../wire/transport.ts';
import type { Watchdog } from '../wire/watchdog.ts';
import type { FrameWriter } from '../wire/writer.ts';
import type { AdmissionTicket } from './admission-ticket.ts';
import { exchangeGreeting, moduleListing, readModuleRequest } from './greeting.ts';
import type { TextSink } from './line-source.ts';
import { type WaitingRoom, waitForPlace } from './queue.ts';
import { accessDenied, chdirFailed, tooManyConnections, unknownModule } from './refusals.ts';
import type { ServedModule } from './served-module.ts';

const loadLogin = onDemand(() => Promise.all([import('./auth.ts'), import('../checksum/md4.ts')]));

const OK_LINE = Buffer.from('@RSYNCD: OK\n');

/** What the text phase needs of the daemon and of the session. */
export interface ConnectContext {
  /** In configuration order. */
  readonly modules: readonly ServedModule[];
  readonly motd: Buffer | null;
  readonly limits: Limits;
  readonly peer: PeerAddress;
  readonly ticket: AdmissionTicket;
  readonly watchdog: Watchdog;
  /** Filled in as things become known. */
  readonly record: SessionRecord;
  readonly onLogin?: LoginJudge;
  /** Told while the client waits for a place: how many are ahead; null when that is over. */
  readonly onQueue: (ahead: number | null) => void;
  readonly waitingRoom?: WaitingRoom;
}

/**
 * Asked when a client has logged in, before it is let in. `record` goes on to show what becomes of the session.
 * @returns false when there is no place for it any more.
 */
export type LoginJudge = (record: Readonly<SessionRecord>) => boolean;

/** A client that was let into a module. */
export interface Admitted {
  readonly module: ServedModule;
  readonly protocol: number;
  /** Descriptor of the module root, the caller's to close: the session stays with the tree that it found. */
  readonly rootFd: number;
}

/**
 * The text phase, up to `@RSYNCD: OK`.
 * @returns null after a listing.
 * @throws AccessError with the line for the client, ProtocolError, LimitError, PeerGone
 */
export async function requestModule(
  reader: ByteReader,
  writer: FrameWriter,
  context: ConnectContext,
): Promise<Admitted | null> {
  const { limits, watchdog, record } = context;
  const sink: TextSink = {
    writeText: (bytes) => writer.putBytes(bytes),
    flush: async () => writer.flush(),
  };
  watchdog.enter({
    ...{ name: 'the greeting', totalMs: limits.moduleLineMs, totalLimit: 'moduleLineMs' },
    ...{ idleMs: limits.greetingMs, idleLimit: 'greetingMs' },
  });
  const greeting = await exchangeGreeting(reader, sink, context.motd, limits);
  record.protocol = greeting.protocol;
  const request = await readModuleRequest(reader, limits);
  if (request.kind === 'list') {
    sink.writeText(listingOf(context));
    return null;
  }
  const module = findModule(request.name, context);
  const { name, maxConnections: max, queue } = module;
  if (!context.ticket.enterModule(name, { max, queue: queue.places })) throw tooManyConnections(max);
  if (module.authentication !== null) {
    watchdog.enter({ name: 'the login', totalMs: limits.authMs, totalLimit: 'authMs', idleMs: 0 });
    const { authentication } = module;
    // Most modules want no login.
    const [{ authenticate }, { md4 }] = await loadLogin();
    record.user = await authenticate(reader, sink, { moduleText: module.name, authentication, greeting, md4, limits });
    if (context.onLogin?.(record) === false) throw tooManyConnections(1);
  }
  // SECURITY: behind the login, so that whoever waits may come in, and no answer to a challenge is kept meanwhile.
  if (queue.places > 0) await waitForPlace(reader, sink, { ...context, module });
  const rootFd = openRoot(module, limits);
  sink.writeText(OK_LINE);
  return { module, protocol: greeting.protocol, rootFd };
}

/** Listings of configurations, each made when somebody asks first. */
const listings = new WeakMap<readonly ServedModule[], Buffer>();

function listingOf({ modules, limits }: ConnectContext): Buffer {
  const made = listings.get(modules);
  if (made !== undefined) return made;
  const listed = modules.filter((module) => module.isListed);
  const listing = moduleListing(listed, limits);
  listings.set(modules, listing);
  return listing;
}

/** SECURITY: a module that a client may not use and that is not listed answers exactly like one that does not exist. */
function findModule(name: Buffer, { modules, peer, record }: ConnectContext): ServedModule {
  const module = modules.find((candidate) => name.equals(Buffer.from(candidate.name)));
  if (module === undefined) throw unknownModule(name);
  record.module = module.name;
  if (module.allows(peer.address)) return module;
  throw module.isListed ? accessDenied(module.name, peer.address) : unknownModule(name);
}

function openRoot(module: ServedModule, limits: Limits): number {
  try {
    return openModuleRoot(module.path, limits);
  } catch (thrown) {
    if (thrown instanceof SandboxError) throw chdirFailed(thrown.message);
    throw thrown;
  }
}
