/** Which cells the matrix has: clients x protocols x option sets x destination states; main.ts chooses among them. */

import {
  CASES,
  CORE_PROTOCOLS,
  type DestinationState,
  type EquivalenceCase,
  PROTOCOLS,
  STATES,
} from '../interop/cases.ts';
import { FOREIGN_SETS } from '../interop/foreign.ts';
import { CROSSED, EVERY_LEVEL, FURTHER } from '../interop/option-sets.ts';
import type { Cell } from '../interop/stage.ts';
import type { RsyncClient } from '../setup/clients.ts';

/** All cells of one client, before asking which options it knows. */
export function cellsOf(client: RsyncClient): Cell[] {
  if (client.family !== 'rsync') {
    return FOREIGN_SETS.flatMap((asked) => cross(client, asked, [client.protocol], asked.states));
  }
  return [
    ...CROSSED.flatMap((asked) => cross(client, asked, PROTOCOLS, STATES)),
    ...[...FURTHER, ...EVERY_LEVEL].flatMap((asked) => cross(client, asked, asked.protocols, asked.states)),
    ...CASES.flatMap((asked) => cross(client, asked, casesProtocols(client, asked), asked.states)),
  ];
}

/** The trees of odd names and entries take longer: the system's client has them in old protocols, others in their own. */
function casesProtocols(client: RsyncClient, asked: EquivalenceCase): readonly number[] {
  return client.name === 'system' ? (asked.protocols ?? CORE_PROTOCOLS) : [32];
}

function cross(
  client: RsyncClient,
  asked: EquivalenceCase,
  protocols: readonly number[] = PROTOCOLS,
  states: readonly DestinationState[] = STATES,
): Cell[] {
  const spoken = new Set(protocols.map((protocol) => Math.min(protocol, client.protocol)));
  return [...spoken].flatMap((protocol) => states.map((state) => ({ asked, protocol, state, client })));
}

/** How a cell is called in the report and matched by --only. */
export function cellName({ asked, protocol, state, client }: Cell): string {
  return `${client.name}, protocol ${protocol}, ${state}: ${asked.name}`;
}
