/** Which sockets there are to be, and what each serves: configured or inherited, plain or encrypted; workers.ts opens them all. */

import type { Config, ListenerSettings } from '../config/config.ts';
import { ConfigError } from '../errors.ts';
import type { InheritedSocket } from '../listener/activation.ts';
import type { InheritedDescriptor, TcpAddress } from '../listener/tcp.ts';

/** An address to bind, or a socket that is open already. */
export type Place = TcpAddress | InheritedDescriptor;

/** A listener that is to be opened. */
export interface ListenerPlan {
  readonly place: Place;
  readonly settings: ListenerSettings;
  /** Further descriptors of the same socket, which the first stage has made. */
  readonly duplicates?: readonly number[];
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
