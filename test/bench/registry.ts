/** Finds the scenarios: every file in scenarios/, in the order of the file names. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Scenario } from './scenario.ts';

const DIRECTORY = join(import.meta.dirname, 'scenarios');

export async function loadScenarios(): Promise<readonly Scenario[]> {
  const files = readdirSync(DIRECTORY).filter((name) => name.endsWith('.ts'));
  const loaded = await Promise.all(
    files.sort().map(async (name) => {
      const { SCENARIOS } = (await import(join(DIRECTORY, name))) as { readonly SCENARIOS: readonly Scenario[] };
      return SCENARIOS;
    }),
  );
  return loaded.flat();
}
