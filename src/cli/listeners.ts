/** Which sockets there are to be, and what each serves: configured or inherited, plain or encrypted; serve.ts opens them all. */

import type { Config, ListenerSettings, LoadContext } from '../config/config.ts';
import { ConfigError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { InheritedSocket } from '../listener/activation.ts';
import type { OnClient } from '../listener/proxy.ts';
import { SocketTransport } from '../listener/socket-transport.ts';
import { type InheritedDescriptor, type Listener, listenSockets, type TcpAddress } from '../listener/tcp.ts';
import { TlsConnection } from '../listener/tls.ts';
import { KeyRing, type ListenerKeys, readListenerKeys } from './listener-keys.ts';
import { clientsOf } from './proxied.ts';
import type { RunningSessions, Service } from './running-sessions.ts';
import { Services } from './services.ts';

/** An address to bind, or a socket that is open already. */
export type Place = TcpAddress | InheritedDescriptor;

/** A listener that is to be opened. */
export interface ListenerPlan {
  readonly place: Place;
  readonly settings: ListenerSettings;
}

/** A listener that runs. */
export interface OpenListener extends Listener {
  /** What its connections get; a reload is for those to come. */
  readonly keys: Pick<KeyRing, 'current' | 'reload'>;
}

/**
 * Inherited sockets where there are any, each with the settings of its kind, else the configured addresses.
 * @throws ConfigError when there is nothing, or when a socket's kind is not configured.
 */
export function planListeners(config: Config, inherited: readonly InheritedSocket[]): ListenerPlan[] {
  const serving = inherited.filter(({ name }) => name !== 'metrics');
  if (serving.length > 0) return serving.map((socket, index) => planInherited(config, serving, socket, index));
  if (config.listeners.length > 0) return config.listeners.map((one) => ({ place: one.address, settings: one }));
  throw new ConfigError('nothing to listen on: add a [[listener]] with rsyncd = "[::]:873", or give --gokr.listen');
}

/** The n-th socket of a kind belongs to the n-th listener of that kind, further ones to the last. */
function planInherited(
  config: Config,
  inherited: readonly InheritedSocket[],
  { fd, name }: InheritedSocket,
  index: number,
): ListenerPlan {
  const configured = config.listeners.filter(({ kind }) => kind === name);
  const before = inherited.slice(0, index).filter((other) => other.name === name).length;
  const settings = configured[before] ?? configured.at(-1);
  if (settings === undefined) {
    if (name === 'rsyncd') return { place: { fd }, settings: { kind: name } };
    throw new ConfigError(
      `inherited descriptor ${fd} (${name}): the configuration has no [[listener]] with ${name} that names its key files`,
    );
  }
  return { place: { fd }, settings };
}

/** Where the monitoring listener is to be: the sockets called metrics when any socket was inherited, else the configured addresses. */
export function planMonitoring(config: Config, inherited: readonly InheritedSocket[]): Place[] {
  if (inherited.length === 0) return [...config.monitoring];
  return inherited.filter(({ name }) => name === 'metrics').map(({ fd }) => ({ fd }));
}

/** Configured listeners that no plan opens, because sockets were inherited and none is of their kind. */
export function leftOut(config: Config, plans: readonly ListenerPlan[]): Config['listeners'] {
  return config.listeners.filter(({ kind }) => !plans.some(({ settings }) => settings.kind === kind));
}

/**
 * Reads the files of all listeners, then opens their sockets.
 * @throws ConfigError naming a file, an address or a descriptor; nothing stays open then.
 */
export async function openListeners(
  plans: readonly ListenerPlan[],
  sessions: RunningSessions,
  { limits, context }: { limits: Limits; context: LoadContext },
): Promise<OpenListener[]> {
  const services = new Services(limits);
  const prepared = plans.map(({ place, settings }) => ({ place, keys: readListenerKeys(settings, context) }));
  const opened: OpenListener[] = [];
  try {
    for (const { place, keys } of prepared)
      opened.push(await openListener(place, keys, { sessions, services, context, limits }));
  } catch (error) {
    for (const listener of opened) await listener.close();
    throw error;
  }
  return opened;
}

interface Surroundings {
  readonly limits: Limits;
  readonly sessions: RunningSessions;
  readonly services: Services;
  readonly context: LoadContext;
}

async function openListener(place: Place, keys: ListenerKeys, at: Surroundings): Promise<OpenListener> {
  const { sessions, services, context, limits } = at;
  const listenFor = (onClient: OnClient): Promise<Listener> =>
    listenSockets(place, clientsOf(keys, sessions, limits, onClient));
  const listen = (service: Service<SocketTransport>): Promise<Listener> =>
    listenFor((socket, peer) => sessions.start(new SocketTransport(socket, peer), service));
  switch (keys.kind) {
    case 'rsyncd':
      return { ...(await listen(services.plain())), keys: new KeyRing(keys, context) };
    case 'anon_ssh':
    case 'authorized_ssh': {
      const ring = new KeyRing(keys, context);
      return { ...(await listen(services.ssh(() => ring.current))), keys: ring };
    }
    case 'tls': {
      const ring = new KeyRing(keys, context);
      const service = services.tls(() => ring.current);
      const listener = await listenFor((socket, peer) => sessions.start(new TlsConnection(socket, peer), service));
      return { ...listener, keys: ring };
    }
  }
}
