/** Where a listed entry really lies; attributes.ts and content-sum.ts look there. */

import { VanishedError } from '../errors.ts';
import { ENOENT, errnoText } from '../vfs/errno.ts';
import { resolvedPath } from '../vfs/module-root.ts';
import type { DirectoryPath } from '../vfs/path.ts';
import type { ListContext } from './context.ts';
import type { SourceDirectory } from './entry.ts';

/** A real directory and one component in it, `.` for the directory itself. */
export interface EntryPlace {
  readonly directory: DirectoryPath;
  readonly name: Buffer;
}

const DOT = Buffer.from('.');

/**
 * The place of an entry of a source.
 * @param what.isFollowed the name leads through links and its referent is what was listed.
 * @throws FileError, VanishedError
 */
export function locateListed(
  context: Pick<ListContext, 'view' | 'module'>,
  source: Pick<SourceDirectory, 'directory'>,
  name: Buffer,
  what: { readonly isFollowed: boolean; readonly isDirectory: boolean },
): EntryPlace {
  if (!what.isFollowed) return { directory: source.directory, name };
  const { view, module } = context;
  const resolved = view.resolve(source.directory, name, true);
  // SECURITY: the link may have been aimed at something hidden since it was listed.
  if (module.filter.hidesWithParents(resolvedPath(resolved), what.isDirectory)) {
    throw new VanishedError(errnoText(ENOENT));
  }
  return { directory: resolved.directory, name: resolved.name ?? DOT };
}
