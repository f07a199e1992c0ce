/** `npm run build`: src/main.ts and every package that it needs as one ECMAScript module, dist/gokr-rsyncd.mjs. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build, type Plugin } from 'esbuild';

/** The top of the work tree. */
export const PROJECT = join(import.meta.dirname, '../..');

export const DIST = join(PROJECT, 'dist');

/** What the bundle is called, wherever it goes. */
export const BUNDLE_NAME = 'gokr-rsyncd.mjs';

export interface Bundle {
  readonly text: Uint8Array;
  /** Directories below the project that source went in from, as `node_modules/pino`; sorted. */
  readonly packages: readonly string[];
}

/**
 * pino can run destinations in worker threads, from files beside its own: code that we never call and that a bundle
 * could not start. What is not there cannot be reached by mistake.
 */
const withoutTransports: Plugin = {
  name: 'without-transports',
  setup(on) {
    on.onResolve({ filter: /^thread-stream$/ }, ({ path }) => ({ path, namespace: 'absent' }));
    on.onLoad({ filter: /.*/, namespace: 'absent' }, () => ({
      contents: "module.exports = class { constructor() { throw new Error('no worker transports in this build'); } };",
    }));
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
    format: 'esm',
    platform: 'node',
    target: 'node26.10',
    charset: 'ascii',
    // Licences travel as files of their own; names stay readable for whoever reads a stack or the code.
    legalComments: 'none',
    // CommonJS packages inside ask for node:os and the like through require.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);",
    },
    plugins: [withoutTransports],
    metafile: true,
    write: false,
    logLevel: 'warning',
  });
  return { text: asciiOf(result.outputFiles[0]!.text), packages: packagesOf(Object.keys(result.metafile.inputs)) };
}

if (import.meta.main) {
  const { text, packages } = await makeBundle();
  const file = join(DIST, BUNDLE_NAME);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  process.stdout.write(`${file}: ${text.length} bytes, ${packages.length} packages\n`);
}
