/** One event loop that serves: its sockets, its sessions, its configuration. The main thread has one when it serves alone, else each worker. */

import type { Config } from '../config/config.ts';
import { configText } from '../config/portable.ts';
import type { CommonReadings, ReadingCounts } from '../flist/common-readings.ts';
import { DigestCache } from '../flist/digest-cache.ts';
import type { OnClient } from '../listener/proxy.ts';
import { SocketTransport } from '../listener/socket-transport.ts';
import { type InheritedDescriptor, type Listener, listenSockets, type TcpAddress } from '../listener/tcp.ts';
import { TlsConnection } from '../listener/tls.ts';
import type { Logger } from '../observe/log.ts';
import { SessionRegistry } from '../observe/session-registry.ts';
import { TransferLog } from '../observe/transfer-log.ts';
import { onDemand } from '../on-demand.ts';
import { overload } from '../session/overload.ts';
import { WaitingRoom } from '../session/queue.ts';
import { configurationChanged, stoppingSoon } from '../session/refusals.ts';
import { LateListCache } from './late-list-cache.ts';
import type { KeysOf, ListenerKeys } from './listener-keys.ts';
import { clientsOf } from './proxied.ts';
import { RunningSessions, type Service } from './running-sessions.ts';
import { type HostTables, servedModules } from './served-modules.ts';
import { Services } from './services.ts';
import { toolsOnDemand } from './session-tools.ts';
import { boundsOver, cachesOver, type SharedBounds, type SharedCaches, type SharedState } from './shared-state.ts';

/** What the main thread always knows of a worker. Plain data. */
export interface Pulse {
  readonly worker: number;
  /** Bytes sent to all clients since the worker started. */
  readonly bytesSent: number;
}

export interface ServingOptions {
  /** This worker's number. */
  readonly worker: number;
  readonly state: SharedState;
  readonly logger: Logger;
  readonly limits: Config['limits'];
}

/** One per thread that serves. */
export class Serving {
  readonly sessions = new RunningSessions();
  /** What monitoring is told of the sessions. */
  readonly registry = new SessionRegistry();
  readonly #options: ServingOptions;
  readonly #services: Services;
  readonly #listeners: Listener[] = [];
  readonly #listCounts = { hits: 0, misses: 0, bypassed: 0 };
  readonly #waitingRoom = new WaitingRoom();
  readonly #digestCounts = { hits: 0, misses: 0 };
  readonly #readingCounts = { read: 0, shared: 0 };
  /** Of the configuration that holds. */
  #configText = '';
  #listCache: LateListCache | null = null;
  #digestCache: DigestCache | null = null;
  readonly #caches: SharedCaches;
  #bounds: SharedBounds;

  constructor(options: ServingOptions) {
    const { state, worker, limits } = options;
    this.#options = options;
    this.#bounds = boundsOver(state, worker, limits);
    this.#caches = cachesOver(state, worker);
    this.#services = new Services(limits, this.#bounds);
    overload.shareWith(this.#bounds.heldMemory);
    this.#showCaches();
  }

  /** Figures of the caches, for the metrics. */
  #showCaches(): void {
    const lists = this.#listCounts;
    const digests = this.#digestCounts;
    const readings = this.#readingCounts;
    this.registry.addCounter('file_list_cache_hits', () => lists.hits);
    this.registry.addCounter('file_list_cache_misses', () => lists.misses);
    this.registry.addCounter('file_list_cache_bypassed', () => lists.bypassed);
    this.registry.addCounter('directories_read_for_others', () => readings.read);
    this.registry.addCounter('directories_read_by_others', () => readings.shared);
    this.registry.addCounter('digest_cache_hits', () => digests.hits);
    this.registry.addCounter('digest_cache_misses', () => digests.misses);
    this.registry.addGauge('file_list_cache_bytes', () => this.#listCache?.bytes ?? 0);
    this.registry.addGauge('digest_cache_bytes', () => this.#digestCache?.bytes ?? 0);
  }

  /** From here on sessions begin with this configuration; those that run keep theirs, those that wait for a place may come again. */
  apply(config: Config, tables: HostTables): void {
    const { limits, motd } = config;
    // Whoever waits for days must not come in under rules that have long been changed. What only renews keys sends nobody home.
    const text = configText(config);
    if (text !== this.#configText) this.#waitingRoom.clear(configurationChanged());
    this.#configText = text;
    const { state, worker, logger } = this.#options;
    this.#bounds = boundsOver(state, worker, limits);
    this.#services.use(limits, this.#bounds);
    const { compression, logBudget } = this.#bounds;
    this.#listCache?.close();
    const listCache = new LateListCache(this.#caches, tables.epoch, this.#listCounts);
    this.#listCache = listCache;
    this.#digestCache = new DigestCache(this.#caches.digests, this.#digestCounts);
    const daemon = {
      modules: servedModules(config, tables),
      limits,
      motd,
      tools: toolsOnDemand(compression),
      logger,
      logBudget,
      waitingRoom: this.#waitingRoom,
      registry: this.registry,
      transferLog: new TransferLog(limits),
      listCache: () => listCache.get(),
      readings: readingsOnDemand(this.#readingCounts),
      digestCache: this.#digestCache,
    };
    this.#bounds.accepts.open();
    this.sessions.open(daemon, this.#bounds);
  }

  /**
   * Accepts connections on a socket; they wait for the first `apply`.
   * @param keys asked for each connection; their kind never changes.
   * @throws ConfigError naming the address or the descriptor.
   */
  async listen(place: TcpAddress | InheritedDescriptor, keys: () => ListenerKeys): Promise<Listener> {
    const listener = await this.#listen(place, keys);
    this.#listeners.push(listener);
    return listener;
  }

  #listen(place: TcpAddress | InheritedDescriptor, keys: () => ListenerKeys): Promise<Listener> {
    const { sessions } = this;
    const { limits } = this.#options;
    const waiting = this.#bounds.proxyHeaders;
    const services = this.#services;
    const listenFor = (onClient: OnClient): Promise<Listener> =>
      listenSockets(place, clientsOf(keys(), { sessions, limits, waiting }, onClient));
    const listen = (service: Service<SocketTransport>): Promise<Listener> =>
      listenFor((socket, peer) => sessions.start(new SocketTransport(socket, peer), service));
    switch (keys().kind) {
      case 'rsyncd':
        return listen(services.plain());
      case 'anon_ssh':
      case 'authorized_ssh':
        return listen(services.ssh(keys as () => KeysOf<'anon_ssh' | 'authorized_ssh'>));
      case 'tls': {
        const service = services.tls(keys as () => KeysOf<'tls'>);
        return listenFor((socket, peer) => sessions.start(new TlsConnection(socket, peer), service));
      }
    }
  }

  pulse(): Pulse {
    return { worker: this.#options.worker, bytesSent: this.sessions.bytesSent };
  }

  /** Accepts no more. Sessions go on. */
  async close(): Promise<void> {
    this.#bounds.accepts.close();
    this.#waitingRoom.close(stoppingSoon());
    for (const listener of this.#listeners.splice(0)) await listener.close();
  }
}

/** What sessions share that list the same at the same time. */
function readingsOnDemand(counts: ReadingCounts): () => Promise<CommonReadings> {
  return onDemand(async () => new (await import('../flist/common-readings.ts')).CommonReadings(counts));
}
