/** What hostile-probe.mjs tells of its attempts, wherever it was loaded. */

import { join } from 'node:path';

/** Path of the probe, for Node's --import. */
export const HOSTILE_PROBE = join(import.meta.dirname, 'hostile-probe.mjs');

/** Attempts that every build of the probe makes. */
export const PROBE_ATTEMPTS = 26;

/** Errors that say no, or that there is nothing; anything else would be an accident of the probe. */
const DENIED = /^(EPERM|EACCES|EROFS|ENOENT|ENOSYS|ESRCH|EAFNOSUPPORT|errno (?:1|97)|nothing)$/;

/**
 * The attempts and what became of them.
 * @param output what the program wrote to standard error, among other lines.
 * @throws Error when the probe did not come to its end.
 */
export function probeOutcomes(output: string): ReadonlyMap<string, string> {
  const lines = output.split('\n').filter((line) => line.startsWith('{"attempt"'));
  const reports = lines.map((line) => JSON.parse(line) as { attempt: string; outcome: string });
  const seen = new Map(reports.map(({ attempt, outcome }) => [attempt, outcome]));
  if (!seen.delete('end of probe')) throw new Error(`the probe did not come to its end:\n${output}`);
  return seen;
}

/** Attempts that were not denied, with their outcomes. @param allowed those that the way of the start leaves open. */
export function notDenied(seen: ReadonlyMap<string, string>, allowed: readonly string[] = []): [string, string][] {
  return [...seen].filter(([name, outcome]) => !allowed.includes(name) && !DENIED.test(outcome));
}
