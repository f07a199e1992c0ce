/** Looks at one name the way the options ask for: the link itself or what it points to, never anything outside the module. */

import { FileError } from '../errors.ts';
import { ELOOP, ENOENT, errnoText } from '../vfs/errno.ts';
import { directoryOf, type FileStats, resolvedPath } from '../vfs/module-root.ts';
import type { DirectoryPath } from '../vfs/path.ts';
import type { ListContext } from './context.ts';
import type { SourceDirectory } from './entry.ts';
import { isUnsafeLink } from './unsafe-link.ts';

/** An examined name. */
export interface Examined {
  readonly stats: FileStats;
  /** The link's target when the entry stays a link; null otherwise. */
  readonly linkTarget: Buffer | null;
  /** True when the name is a link and `stats` are those of its referent. */
  readonly isFollowed: boolean;
  /** The directory itself, when the entry is one. */
  readonly directory: DirectoryPath | null;
}

/** A link that was to be followed leads nowhere. */
export class DanglingLink extends FileError {}

/**
 * @param how wireName: name in the list, for the test of unsafe links; stats, linkTarget: where known already.
 *   followsDirectoryLinks: a link to a directory counts as that directory (`-k`, or an argument ending in a slash).
 * @throws FileError, VanishedError, DanglingLink
 */
export function examine(
  context: ListContext,
  source: { readonly directory: DirectoryPath; readonly modulePath: Buffer },
  name: Buffer,
  how: {
    readonly wireName: Buffer;
    readonly followsDirectoryLinks: boolean;
    readonly stats?: FileStats;
    readonly linkTarget?: Buffer | null;
  },
): Examined {
  const { view, options } = context;
  const stats = how.stats ?? view.lstat(source.directory, name);
  if (!stats.isSymbolicLink()) {
    return {
      stats,
      linkTarget: null,
      isFollowed: false,
      directory: stats.isDirectory() ? source.directory.child(name) : null,
    };
  }
  if (options.copyLinks) return follow(context, source.directory, name);
  const linkTarget = how.linkTarget ?? view.readlink(source.directory, name);
  if (options.copyUnsafeLinks && isUnsafeLink(linkTarget, how.wireName)) return follow(context, source.directory, name);
  if (how.followsDirectoryLinks) {
    const followed = tryFollow(context, source.directory, name);
    if (followed?.directory) return followed;
  }
  return { stats, linkTarget, isFollowed: false, directory: null };
}

function tryFollow(context: ListContext, directory: DirectoryPath, name: Buffer): Examined | null {
  try {
    return follow(context, directory, name);
  } catch (thrown) {
    if (thrown instanceof FileError) return null;
    throw thrown;
  }
}

/** Attributes of a link's referent. @throws DanglingLink when it is missing, hidden or outside the module. */
function follow(context: ListContext, directory: DirectoryPath, name: Buffer): Examined {
  const { view, module } = context;
  try {
    const resolved = view.resolve(directory, name, true);
    const stats = view.statResolved(resolved);
    const isDirectory = stats.isDirectory();
    // SECURITY: a link must not show what the module's rules hide; rsync itself only checks the link's own name.
    if (module.filter.hidesWithParents(resolvedPath(resolved), isDirectory))
      throw new DanglingLink(errnoText(ENOENT), ENOENT);
    return {
      stats,
      linkTarget: null,
      isFollowed: true,
      directory: isDirectory ? directoryOf(resolved) : null,
    };
  } catch (thrown) {
    if (thrown instanceof FileError && thrown.errno === ENOENT) throw new DanglingLink(thrown.message, ENOENT);
    throw thrown;
  }
}

/** Refuses a directory that was reached through a link and lies on the path to itself. @throws FileError (ELOOP) */
export function refuseLinkLoop(source: SourceDirectory, stats: FileStats): void {
  for (let above: SourceDirectory | null = source; above !== null; above = above.parent) {
    if (above.device === stats.dev && above.inode === stats.ino) throw new FileError(errnoText(ELOOP), ELOOP);
  }
}
