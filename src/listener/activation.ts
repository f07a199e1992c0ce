/**
 * Listening sockets passed by a service manager (systemd's LISTEN_FDS protocol); main.ts asks once at start.
 *
 * LISTEN_PID: the process they are for. LISTEN_FDS: how many, from descriptor 3 on. LISTEN_FDNAMES: their names,
 * separated by colons (`FileDescriptorName=` of the socket unit).
 */

import { ConfigError } from '../errors.ts';

/** What a listener speaks; also its `FileDescriptorName=`. */
export type ListenerName = 'rsyncd' | 'anon_ssh' | 'authorized_ssh' | 'tls' | 'metrics';

export interface InheritedSocket {
  fd: number;
  name: ListenerName;
}

/** Descriptors 0 to 2 are the standard streams. */
const FIRST_FD = 3;

/** More than any deployment has; a wrong variable must not make us probe thousands of descriptors. */
const MAX_FDS = 64;

const NAMES: ReadonlySet<string> = new Set(['rsyncd', 'anon_ssh', 'authorized_ssh', 'tls', 'metrics']);

/**
 * Lists the sockets that were passed to this process; empty when none were, or when they were meant for another one.
 * @param environment holds LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES; the caller removes them afterwards.
 * @param isSocket says whether a descriptor is open and a socket (fstat). That it listens shows in `listenFd`.
 * @throws ConfigError naming the variable, the descriptor or the name.
 */
export function inheritedSockets(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
  isSocket: (fd: number) => boolean,
): InheritedSocket[] {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = environment;
  if (LISTEN_FDS === undefined || LISTEN_PID === undefined) return [];
  if (parseCount('LISTEN_PID', LISTEN_PID) !== pid) return [];
  const count = parseCount('LISTEN_FDS', LISTEN_FDS);
  if (count > MAX_FDS) throw new ConfigError(`LISTEN_FDS is ${count}; at most ${MAX_FDS} sockets are accepted`);
  const names = socketNames(count, LISTEN_FDNAMES);
  return names.map((name, index) => {
    const fd = FIRST_FD + index;
    if (!isSocket(fd)) throw new ConfigError(`LISTEN_FDS: descriptor ${fd} (${name}) is not an open socket`);
    return { fd, name };
  });
}

function socketNames(count: number, variable: string | undefined): ListenerName[] {
  const given = variable === undefined || variable === '' ? new Array<string>(count).fill('') : variable.split(':');
  if (given.length !== count) {
    throw new ConfigError(`LISTEN_FDNAMES holds ${given.length} names for ${count} sockets`);
  }
  // Without FileDescriptorName= systemd passes the name of the unit: one such socket can only be the rsync port.
  if (count === 1 && !NAMES.has(given[0]!)) return ['rsyncd'];
  return given.map((name, index) => checkedName(name, FIRST_FD + index));
}

function checkedName(name: string, fd: number): ListenerName {
  const quoted = JSON.stringify(name);
  if (!NAMES.has(name)) {
    throw new ConfigError(
      `inherited descriptor ${fd} has the unknown name ${quoted}; set FileDescriptorName= in its socket unit to one of ${[...NAMES].join(', ')}`,
    );
  }
  return name as ListenerName;
}

function parseCount(variable: string, text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new ConfigError(`${variable} is ${JSON.stringify(text)}, not a number`);
  return Number(text);
}
