/**
 * `npm run build`: src/main.ts and every package that it needs as one program, in dist: gokr-rsyncd.mjs, which is started, and for each of
 * the three files that the program is split into (split.ts) its text and the code that V8 has compiled of it.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, relative } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { recordCodeCache } from './code-cache.ts';
import { type FileName, splitProgram } from './split.ts';

/** The top of the work tree. */
export const PROJECT = join(import.meta.dirname, '../..');

export const DIST = join(PROJECT, 'dist');

/** What is started of a bundle, wherever it goes. */
export const BUNDLE_NAME = 'gokr-rsyncd.mjs';

/** What launcher.ts finds beside it. */
const nameOf = (file: FileName, kind: 'cjs' | 'cache') => `gokr-rsyncd.${file === 'start' ? '' : `${file}.`}${kind}`;

export interface Bundle {
  /** By name; all in one directory. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** The texts among them. */
  readonly program: ReadonlyMap<FileName, Uint8Array>;
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
    on.onResolve({ filter: /^\.(\/lib)?\/transport$/ }, ({ importer, path }) =>
      importer.includes('/node_modules/pino/') ? { path, namespace: 'absent' } : null,
    );
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

/** What all builds here have in common. */
const COMMON = {
  absWorkingDir: PROJECT,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node26.10',
  charset: 'ascii',
  legalComments: 'none',
  write: false,
  logLevel: 'warning',
} as const;

async function makeLauncher(): Promise<Uint8Array> {
  const { outputFiles } = await build({ ...COMMON, entryPoints: ['deploy/build/launcher.ts'] });
  return asciiOf(outputFiles[0]!.text);
}

/** Bundles in memory. The same sources give the same bytes: no time, no absolute path goes in. */
export async function makeBundle(): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    ...COMMON,
    entryPoints: ['src/main.ts'],
    // Each module that is imported while the program runs becomes one of its own, and so does what two of them have in common.
    splitting: true,
    outdir: 'dist',
    // Packages that have both are left without what nobody calls of them.
    mainFields: ['module', 'main'],
    // Licences travel as files of their own; names stay readable for whoever reads a stack or the code, lines short. What is read at
    // each start is a quarter less.
    minifyWhitespace: true,
    lineLimit: 120,
    define: { 'import.meta.url': 'entry' },
    plugins: [withoutTransports, lateParts],
    metafile: true,
  });
  const texts = new Map(outputFiles.map(({ path, text }) => [relative(PROJECT, path), text]));
  const split = splitProgram(metafile.outputs, texts);
  const program = new Map([...split].map(([file, text]) => [file, asciiOf(text)]));
  const named = [...program].map(([file, bytes]) => [nameOf(file, 'cjs'), bytes] as const);
  const files = new Map([[BUNDLE_NAME, await makeLauncher()], ...named]);
  return { files, program, packages: packagesOf(Object.keys(metafile.inputs)) };
}

/** The bundle with what `node` compiles of it until a first client has got a list, for that Node and no other. */
export async function withCodeCache(bundle: Bundle, node: string): Promise<Bundle> {
  const caches = await recordCodeCache(bundle.program, node);
  const named = [...caches].map(([file, bytes]) => [nameOf(file, 'cache'), bytes] as const);
  return { ...bundle, files: new Map([...bundle.files, ...named]) };
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
