/** Which program the tests start: the sources, or where a whole suite runs, one bundle of them, which starts in a third of the time. */

import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BUNDLE_NAME, makeBundle, PROJECT, writeBundle } from '../../deploy/build/bundle.ts';

/** Set for the processes of a test run by `bundleProgram`. */
const VARIABLE = 'GOKR_RSYNCD_TEST_PROGRAM';

/** Path of our program, to be run by the Node that runs the tests; after `bundleProgram`, the bundle's. */
export let PROGRAM = process.env[VARIABLE] ?? join(PROJECT, 'src/main.ts');

/**
 * Bundles the sources as they are now, for this process and its children; packages with native files stay where they are.
 * @returns what removes the bundle.
 */
export async function bundleProgram(): Promise<() => void> {
  // Below the project, where the bundle finds its packages.
  const dir = mkdtempSync(join(PROJECT, 'node_modules/.test-program-'));
  // Some tests start it as another user.
  chmodSync(dir, 0o755);
  writeBundle(await makeBundle(), dir);
  PROGRAM = join(dir, BUNDLE_NAME);
  process.env[VARIABLE] = PROGRAM;
  return () => rmSync(dir, { recursive: true, force: true });
}
