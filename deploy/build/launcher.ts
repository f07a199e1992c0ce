/**
 * What gokr-rsyncd.mjs is in a bundle: runs the program in the file beside it, gokr-rsyncd.cjs, with the code that V8 has compiled for
 * it before (code-cache.ts), where there is any. Nothing of Node is imported: a module record of it would have to be made first.
 */

const { existsSync, readFileSync } = process.getBuiltinModule('node:fs');
const { createRequire } = process.getBuiltinModule('node:module');
const { constants, Script } = process.getBuiltinModule('node:vm');

const filename = import.meta.filename.replace(/mjs$/, 'cjs');
const cache = import.meta.filename.replace(/mjs$/, 'cache');

// V8 takes no notice of a cache that another version of it has made, or the same with other flags.
const program = new Script(readFileSync(filename, 'latin1'), {
  filename,
  importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  ...(existsSync(cache) && { cachedData: readFileSync(cache) }),
});
program.runInThisContext()(createRequire(import.meta.url), import.meta.url);
