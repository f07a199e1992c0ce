/** Where a listed entry really lies; attributes.ts, content-sum.ts and the transfer's replies look there. */

import { VanishedError } from '../errors.ts';
import { ENOENT, errnoText } from '../vfs/errno.ts';
import { type ResolvedPath, resolvedPath } from '../vfs/module-root.ts';
import type { DirectoryPath } from '../vfs/path.ts';
import type { ListContext } from './context.ts';
import type { SourceDirectory } from './entry.ts';

/** A real directory and one component in it, `.` for the directory itself. */
export interface EntryPlace {
  readonly directory: DirectoryPath;
  readonly name: Buffer;
}

const DOT = Buffer.from('.');
const SLASH = 0x2f;

type Place = Pick<ListContext, 'view' | 'module'>;
type Source = Pick<SourceDirectory, 'directory'>;

/**
 * The place of an entry of a source, of its referent when that is what was listed.
 * @throws FileError, VanishedError
 */
export function locateListed(
  context: Place,
  source: Source,
  name: Buffer,
  what: { readonly isFollowed: boolean; readonly isDirectory: boolean },
): EntryPlace {
  if (!what.isFollowed) return { directory: source.directory, name };
  const resolved = context.view.resolve(source.directory, name, true);
  return shownPlace(context, resolved, what.isDirectory);
}

/**
 * The place of the name itself, also when it is a link: C rsync reads extended attributes there, even with `-L`.
 * @param name one component, or the path of an implied directory, which may lead through links.
 * @throws FileError, VanishedError
 */
export function locateName(context: Place, source: Source, name: Buffer): EntryPlace {
  if (!name.includes(SLASH)) return { directory: source.directory, name };
  return shownPlace(context, context.view.resolve(source.directory, name, false), true);
}

function shownPlace({ module }: Place, resolved: ResolvedPath, isDirectory: boolean): EntryPlace {
  // SECURITY: the link may have been aimed at something hidden since it was listed.
  if (module.filter.hidesWithParents(resolvedPath(resolved), isDirectory)) throw new VanishedError(errnoText(ENOENT));
  return { directory: resolved.directory, name: resolved.name ?? DOT };
}
