/** `npm run build`: src/main.ts and every package that it needs as one program, in three files: dist/gokr-rsyncd.{mjs,cjs,cache}. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { build, type Plugin, transform } from 'esbuild';
import { recordCodeCache } from './code-cache.ts';

/** The top of the work tree. */
export const PROJECT = join(import.meta.dirname, '../..');

export const DIST = join(PROJECT, 'dist');

/** What is started of a bundle, wherever it goes. */
export const BUNDLE_NAME = 'gokr-rsyncd.mjs';

/** What launcher.ts finds beside it. */
const PROGRAM_NAME = 'gokr-rsyncd.cjs';
const CACHE_NAME = 'gokr-rsyncd.cache';

export interface Bundle {
  /** By name; all in one directory. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Directories below the project that source went in from, as `node_modules/pino`; sorted. */
  readonly packages: readonly string[];
}

/**
 * pino can run destinations in worker threads, from files beside its own: code that we never call and that a bundle
 * could not start. What is not there cannot be reached by mistake. What it asks of threads else is whether it is in one: destinations
 * of ours are in the main thread.
 */
const withoutTransports: Plugin = {
  name: 'without-transports',
  setup(on) {
    on.onResolve({ filter: /^thread-stream$/ }, ({ path }) => ({ path, namespace: 'absent' }));
    on.onResolve({ filter: /^(node:)?worker_threads$/ }, ({ importer, path }) =>
      importer.includes('/node_modules/pino/') ? { path, namespace: 'main-thread' } : null,
    );
    on.onLoad({ filter: /.*/, namespace: 'main-thread' }, () => ({ contents: 'module.exports = { isMainThread: true };' }));
    on.onLoad({ filter: /.*/, namespace: 'absent' }, () => ({
      contents: "module.exports = class { constructor() { throw new Error('no worker transports in this build'); } };",
    }));
  },
};

/** Parts of Node that a start up to the first greeting can do without; together they take as long to load as the rest of it. */
const LATE = ['assert', 'child_process', 'cluster', 'crypto', 'dns', 'dns/promises', 'fs/promises', 'http', 'perf_hooks'];
LATE.push('timers/promises', 'tls', 'v8', 'worker_threads', 'zlib');

/** What a file of ours imports of a part of Node; null for a package, which may ask in other ways. Each name costs time at a start. */
function importedNames(importer: string, specifier: string): string[] | null {
  if (importer.includes('/node_modules/')) return null;
  const lists = readFileSync(importer, 'utf8').matchAll(/^import \{([^}]*)\} from '([^']*)';$/gm);
  const imports = lists.flatMap(([, list, from]) => (from === specifier ? list!.split(',') : []));
  return [...imports].map((one) => one.trim().split(' ')).flatMap(([name]) => (name === '' || name === 'type' ? [] : [name!]));
}

/** Loads these parts when something of them is asked for. */
const lateParts: Plugin = {
  name: 'late-parts',
  setup(on) {
    on.onResolve({ filter: new RegExp(`^(node:)?(${LATE.join('|')})$`) }, ({ path: wanted, importer, kind }) => {
      const path = wanted.replace(/^node:/, '');
      if (!builtinModules.includes(path)) throw new Error(`${path} is no part of this Node`);
      const part = process.getBuiltinModule(path) as object;
      const names = kind === 'import-statement' ? importedNames(importer, wanted) : null;
      const pluginData = { path, names: names ?? Object.keys(part), isCalled: typeof part === 'function' };
      return { path: `${path} ${names ?? ''}`, namespace: 'late', pluginData };
    });
    on.onLoad({ filter: /.*/, namespace: 'late' }, ({ pluginData }) => {
      const { path, names, isCalled } = pluginData as { path: string; names: readonly string[]; isCalled: boolean };
      const load = `let part;\nconst load = () => (part ??= process.getBuiltinModule('node:${path}'));\n`;
      const getters = `{\n${names.map((name) => `get ${name}() { return load().${name}; }`).join(',\n')}\n}`;
      const callable = `Object.defineProperties((...values) => load()(...values), Object.getOwnPropertyDescriptors(${getters}))`;
      return { contents: `${load}module.exports = ${isCalled ? callable : getters};` };
    });
  },
};

/** The packages behind the inputs of the bundle. */
function packagesOf(inputs: readonly string[]): string[] {
  const roots = inputs.flatMap((input) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? []);
  return [...new Set(roots)].sort();
}

/** What is left in comments and tagged templates, where an escape reads the same: one byte per character, also for V8. */
function asciiOf(text: string): Uint8Array {
  const escaped = text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return Buffer.from(escaped, 'latin1');
}

/** Bundles in memory. The same sources give the same bytes: no time, no absolute path goes in. */
export async function makeBundle(): Promise<Bundle> {
  const result = await build({
    absWorkingDir: PROJECT,
    entryPoints: ['src/main.ts'],
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node26.10',
    charset: 'ascii',
    // Packages that have both are left without what nobody calls of them.
    mainFields: ['module', 'main'],
    // Licences travel as files of their own; names stay readable for whoever reads a stack or the code, lines short. What is read at
    // each start is a quarter less.
    legalComments: 'none',
    minifyWhitespace: true,
    lineLimit: 120,
    // One function, which launcher.ts calls: nothing has to be put around a text of that size when it is read.
    banner: { js: '(function (require, entry) {' },
    footer: { js: '})' },
    define: { 'import.meta.url': 'entry' },
    plugins: [withoutTransports, lateParts],
    metafile: true,
    write: false,
    logLevel: 'warning',
  });
  const launcher = readFileSync(join(import.meta.dirname, 'launcher.ts'), 'utf8');
  const { code } = await transform(launcher, { loader: 'ts', format: 'esm', target: 'node26.10' });
  const files = new Map([
    [BUNDLE_NAME, asciiOf(code)],
    [PROGRAM_NAME, asciiOf(result.outputFiles[0]!.text)],
  ]);
  return { files, packages: packagesOf(Object.keys(result.metafile.inputs)) };
}

/** The bundle with what `node` compiles of it at a start, for that Node and no other. */
export async function withCodeCache({ files, packages }: Bundle, node: string): Promise<Bundle> {
  return { files: new Map([...files, [CACHE_NAME, await recordCodeCache(files.get(PROGRAM_NAME)!, node)]]), packages };
}

/** Writes a bundle's files into an existing directory. */
export function writeBundle({ files }: Bundle, directory: string): void {
  for (const [name, bytes] of files) writeFileSync(join(directory, name), bytes);
}

if (import.meta.main) {
  const bundle = await withCodeCache(await makeBundle(), process.execPath);
  mkdirSync(DIST, { recursive: true });
  writeBundle(bundle, DIST);
  const sizes = [...bundle.files].map(([name, { length }]) => `${name} ${length} bytes`);
  process.stdout.write(`${DIST}: ${sizes.join(', ')}; ${bundle.packages.length} packages\n`);
}
