/** What the metric `gokr_rsyncd_limit_hits_total` of a running daemon says. */

import type { LimitName } from '../../../src/limits.ts';
import type { Server } from './server.ts';

/** Arguments of a daemon that can be asked. */
export const MONITORED = ['--gokr.monitoring_listen=127.0.0.1:0'];

/** Hits of each bound since the daemon started; those without any are left out. */
export async function limitHitsOf(server: Server): Promise<Map<LimitName, number>> {
  const { address } = await server.waitFor(({ msg }) => msg === 'monitoring');
  const text = await (await fetch(`http://${address}/metrics`)).text();
  const samples = text.matchAll(/^gokr_rsyncd_limit_hits_total\{limit="(\w+)"\} (\d+)$/gm);
  return new Map([...samples].map(([, name, count]) => [name as LimitName, Number(count)] as const).filter(isHit));
}

function isHit([, count]: readonly [LimitName, number]): boolean {
  return count > 0;
}
