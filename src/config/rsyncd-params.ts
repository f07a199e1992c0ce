/** All 59 parameters of rsyncd.conf with the verdicts of security.md C; rsyncd-conf.ts and rsyncd-convert.ts look here. */
import { nearestName } from './nearest.ts';
import { GLOBAL_PARAMS } from './rsyncd-global-params.ts';
import { parameterId } from './rsyncd-lines.ts';
import { MODULE_PARAMS } from './rsyncd-module-params.ts';
import type { ParamRow } from './rsyncd-param.ts';

/** Global parameters first, each in the order of the manual. */
export const RSYNCD_PARAMS: readonly ParamRow[] = [...GLOBAL_PARAMS, ...MODULE_PARAMS];

const BY_ID: ReadonlyMap<string, ParamRow> = new Map(RSYNCD_PARAMS.map((row) => [parameterId(row.name), row]));

/** The row of a parameter, by its name without blanks and in lower case. */
export function findParam(id: string): ParamRow | undefined {
  return BY_ID.get(id);
}

/** The parameter that a person probably meant. */
export function nearestParam(written: string): string {
  const names = RSYNCD_PARAMS.map((row) => row.name);
  return nearestName(written, names) ?? '';
}
