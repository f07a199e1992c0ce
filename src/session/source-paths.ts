/** The client's path arguments, cleaned and with their wildcards expanded inside the module (1-session.md 3.3). */

import { FileError } from '../errors.ts';
import { compileGlob, hasWildcards } from '../filter/wildmatch.ts';
import type { ListContext } from '../flist/context.ts';
import { directoryOf } from '../vfs/module-root.ts';
import { expandGlobs, type GlobDeps } from './globs.ts';
import { preparePaths } from './paths.ts';

/**
 * @returns paths from the module root, as `SourcePath.text`.
 * @throws LimitError when wildcards meet or match too much.
 */
export async function sourcePaths(context: ListContext): Promise<Buffer[]> {
  const { options, module, limits } = context;
  const { relative, secludedArgs } = options;
  const prepared = preparePaths(options.paths, { module: Buffer.from(module.name), relative, secludedArgs });
  const expanded = await expandGlobs(prepared, globDeps(context), limits);
  return expanded.map(({ text }) => text);
}

function globDeps({ view, module, limits }: ListContext): GlobDeps {
  const statOf = (path: Buffer) => unlessFileError(() => view.statResolved(view.resolve(view.root, path, true)));
  return {
    readdir: async (directory) => {
      try {
        return await view.readdir(directoryOf(view.resolve(view.root, directory, true)));
      } catch (thrown) {
        if (thrown instanceof FileError) return [];
        throw thrown;
      }
    },
    isDirectory: (path) => statOf(path)?.isDirectory() ?? false,
    exists: (path) => statOf(path) !== null,
    hidden: (path, isDirectory) => module.filter.hides(path, isDirectory),
    compileGlob: (component) => compileGlob(component, limits),
    hasWildcards,
  };
}

function unlessFileError<T>(look: () => T): T | null {
  try {
    return look();
  } catch (thrown) {
    if (thrown instanceof FileError) return null;
    throw thrown;
  }
}
