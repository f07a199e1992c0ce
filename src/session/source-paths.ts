/** The client's path arguments, cleaned and with their wildcards expanded (1-session.md 3.3); transfer-phase.ts calls it. */

import { FileError } from '../errors.ts';
import { compileGlob, hasWildcards } from '../filter/wildmatch.ts';
import type { ListContext } from '../flist/context.ts';
import { directoryOf, resolvedPath } from '../vfs/module-root.ts';
import { type DirectoryPath, isDotDot, joinPath, splitPath } from '../vfs/path.ts';
import { expandGlobs, type GlobDeps } from './globs.ts';
import { cleanPath, preparePaths } from './paths.ts';
import { compileShellGlob, hasLiveWildcards, unquoted } from './shell-globs.ts';

/** How the paths of a client are meant. */
export type PathStyle =
  /** A daemon's client: the module's name in front, `..` stops at the root, all wildcards are ours to expand. */
  | { readonly kind: 'module' }
  /** Behind a forced command: as in a module, but there is no name. Wildcards come as shell-globs.ts has them. */
  | { readonly kind: 'confined' }
  /** Over a remote shell: the user's own paths, relative to a working directory; the shell has expanded them. */
  | {
      readonly kind: 'system';
      /** A real path from `/` without leading slash; empty for `/`. */
      readonly workingDirectory: Buffer;
    };

const SLASH = 0x2f;
const SLASH_BYTES = Buffer.from('/');
const MARKER = Buffer.from('/./');

/**
 * @returns paths from the root of the view, as `SourcePath.text`.
 * @throws LimitError when wildcards meet or match too much; UsageError for `..` under --relative over a remote shell.
 */
export async function sourcePaths(context: ListContext, style: PathStyle): Promise<Buffer[]> {
  const { options, module, limits, slice } = context;
  const { relative, secludedArgs } = options;
  switch (style.kind) {
    case 'system':
      return systemPaths(context, style.workingDirectory);
    case 'module': {
      const prepared = preparePaths(options.paths, { module: Buffer.from(module.name), relative, secludedArgs });
      // SECURITY: to clean a thousand paths takes as long as a slice.
      if (slice.expired) await slice.yield();
      return texts(await expandGlobs(prepared, globDeps(context), limits));
    }
    case 'confined': {
      const paths = options.paths.length > 0 ? options.paths : [Buffer.alloc(0)];
      const prepared = paths.map((path) => ({ text: cleanPath(path, relative) }));
      // With -s no shell has seen the paths, and they are a daemon's.
      const deps = secludedArgs ? globDeps(context) : shellGlobDeps(context);
      return texts(await expandGlobs(prepared, deps, limits));
    }
  }
}

/** Where a file lies that the client named, --files-from: from the root of the view. */
export function fromStart(style: PathStyle, path: Buffer): Buffer {
  return style.kind === 'system' && path[0] !== SLASH ? joinPath(style.workingDirectory, path) : path;
}

async function systemPaths(context: ListContext, workingDirectory: Buffer): Promise<Buffer[]> {
  const { options, view, limits } = context;
  const { secludedArgs } = options;
  // The path of --files-from is only where its names start.
  const relative = options.relative && options.filesFrom === null;
  const here = splitPath(workingDirectory).reduce((above, name) => above.child(name), view.root);
  const paths: Buffer[] = [];
  for (const { text } of preparePaths(options.paths, { module: null, relative, secludedArgs })) {
    const isAbsolute = text[0] === SLASH;
    const own = isAbsolute ? text.subarray(1) : text;
    const deps = globDeps(context, isAbsolute ? view.root : here);
    const expanded = secludedArgs ? texts(await expandGlobs([{ text: own }], deps, limits)) : [own];
    for (const path of expanded) {
      paths.push(withoutDotDot(context, isAbsolute ? path : below(workingDirectory, path, relative)));
    }
  }
  return paths;
}

/** A path of the working directory, from `/`; with --relative, the names begin where the client's path does. */
function below(workingDirectory: Buffer, path: Buffer, relative: boolean): Buffer {
  if (workingDirectory.length === 0) return path;
  const isMarked = path.includes(MARKER);
  return Buffer.concat([workingDirectory, relative && !isMarked ? MARKER : SLASH_BYTES, path]);
}

/** `..` goes up from where a link leads, as for the kernel; a path that leads nowhere stays, for the message about it. */
function withoutDotDot({ view }: ListContext, path: Buffer): Buffer {
  const marker = path.indexOf(MARKER);
  const base = marker < 0 ? path : path.subarray(0, marker);
  const components = splitPath(base);
  const last = components.findLastIndex(isDotDot);
  if (last < 0) return path;
  const upTo = components.slice(0, last + 1).reduce(joinPath);
  const real = unlessFileError(() => resolvedPath(view.resolve(view.root, upTo, true)));
  if (real === null) return path;
  const clean = components.slice(last + 1).reduce(joinPath, real);
  const asksForContents = last === components.length - 1 || base.at(-1) === SLASH;
  const slash = marker < 0 && asksForContents && clean.length > 0;
  return Buffer.concat([clean, Buffer.from(slash ? '/' : ''), marker < 0 ? Buffer.alloc(0) : path.subarray(marker)]);
}

/** @param from directory that the paths start at; the root when absent. */
function globDeps({ view, module, limits, slice }: ListContext, from: DirectoryPath = view.root): GlobDeps {
  const statOf = (path: Buffer) => unlessFileError(() => view.statResolved(view.resolve(from, path, true)));
  return {
    readdir: async (directory) => {
      try {
        return await view.readdir(directoryOf(view.resolve(from, directory, true)));
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
    literalOf: (bytes) => bytes,
    slice,
  };
}

function shellGlobDeps(context: ListContext): GlobDeps {
  const { view } = context;
  return {
    ...globDeps(context),
    // As a shell: a link that leads nowhere is a name like others.
    exists: (path) => unlessFileError(() => view.statResolved(view.resolve(view.root, path, false))) !== null,
    compileGlob: (component) => compileShellGlob(component, context.limits),
    hasWildcards: hasLiveWildcards,
    literalOf: unquoted,
  };
}

function texts(paths: readonly { readonly text: Buffer }[]): Buffer[] {
  return paths.map(({ text }) => text);
}

function unlessFileError<T>(look: () => T): T | null {
  try {
    return look();
  } catch (thrown) {
    if (thrown instanceof FileError) return null;
    throw thrown;
  }
}
