/** --healthcheck: does the daemon that has this configuration answer? main.ts calls it. */

import type { Config } from '../config/config.ts';
import { formatListenAddress } from '../config/listen-address.ts';
import { ConfigError, EXIT, RsyncError } from '../errors.ts';
import { probeDaemon, probeHosts } from '../listener/probe.ts';

/** The verdict, as one line and as an exit code of 0 or 1. */
export interface Health {
  readonly text: string;
  readonly exit: number;
}

/** Asks the first rsync listener for its module list. @throws ConfigError when none is configured. */
export async function checkHealth(config: Config): Promise<Health> {
  const listener = config.listeners.find(({ kind }) => kind === 'rsyncd');
  if (listener === undefined) throw new ConfigError('--healthcheck: the configuration has no rsyncd listener');
  const { host, port } = listener.address;
  let reason = '';
  for (const one of probeHosts(host)) {
    try {
      await probeDaemon(one, port);
      return { text: `healthy: ${formatListenAddress({ host: one, port })} answers\n`, exit: EXIT.OK };
    } catch (thrown) {
      if (!(thrown instanceof RsyncError)) throw thrown;
      reason = `${formatListenAddress({ host: one, port })}: ${thrown.message}`;
    }
  }
  return { text: `unhealthy: ${reason}\n`, exit: EXIT.SYNTAX };
}
