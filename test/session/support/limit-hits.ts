/** What the metrics of a running daemon say; above all `gokr_rsyncd_limit_hits_total`, of each bound that was met. */

import type { LimitName } from '../../../src/limits.ts';
import type { Server } from './server.ts';

/** Arguments of a daemon that can be asked. */
export const MONITORED = ['--gokr.monitoring_listen=127.0.0.1:0'];

/** The metrics of a running daemon that was started with MONITORED. */
export async function metricsOf(server: Server): Promise<string> {
  const { address } = await server.waitFor(({ msg }) => msg === 'monitoring');
  return (await fetch(`http://${address}/metrics`)).text();
}

/** Hits of each bound since the daemon started; those without any are left out. */
export async function limitHitsOf(server: Server): Promise<Map<LimitName, number>> {
  const text = await metricsOf(server);
  const samples = text.matchAll(/^gokr_rsyncd_limit_hits_total\{limit="(\w+)"\} (\d+)$/gm);
  return new Map([...samples].map(([, name, count]) => [name as LimitName, Number(count)] as const).filter(isHit));
}

function isHit([, count]: readonly [LimitName, number]): boolean {
  return count > 0;
}
