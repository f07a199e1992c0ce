/** Which sessions have the same lists byte by byte, and which share none; shared-lists.ts asks. */

import type { ServerOptions } from '../options/server-options.ts';
import type { ListContext } from './context.ts';
import type { SourceArgument } from './source-argument.ts';

/** Longest key in characters: who names thousands of paths shares nothing. */
const MAX_KEY = 8192;

/**
 * Options that leave the lists alone. All others are in the key, so that a new one can at worst keep sessions apart.
 * `paths` and what is in front of them became the arguments.
 */
const IRRELEVANT: ReadonlySet<keyof ServerOptions> = new Set([
  ...(['server', 'sender', 'secludedArgs', 'paths', 'sawDot', 'capabilities', 'refusal', 'extraFilterRules'] as const),
  ...(['dryRun', 'inplace', 'appendMode', 'backup', 'openNoatime', 'timeoutSec', 'bwlimitKiB'] as const),
  ...(['compression', 'checksumChoice', 'checksumSeed'] as const),
]);

/**
 * Equal for sessions of one module whose lists are the same.
 * @returns null when a session has to scan for itself: its filters hide other files, it asks for contents or for attributes
 *   that go beyond the list, or names come with --files-from.
 */
export function listKey(context: ListContext, args: readonly SourceArgument[]): string | null {
  const { options, filter, protocol, incRecurse, compatFlags } = context;
  if (!filter.isEmpty || options.checksum || options.acls || options.xattrs > 0 || options.filesFrom !== null)
    return null;
  const relevant = Object.entries(options).filter(([name]) => !IRRELEVANT.has(name as keyof ServerOptions));
  const paths = args.map(({ base, name, kind, leadingDot }) => [
    base.toString('latin1'),
    name.toString('latin1'),
    kind,
    leadingDot,
  ]);
  const key = JSON.stringify([protocol, incRecurse, compatFlags, relevant, paths]);
  return key.length > MAX_KEY ? null : key;
}
