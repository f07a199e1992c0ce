/** Text through each compressor. */

import { join } from 'node:path';
import { pulls } from '../pulls.ts';
import type { Scenario } from '../scenario.ts';
import { writeLarge } from '../trees.ts';

function compressed(method: string, cpu: number): Scenario {
  const name = `compress-${method}`;
  return {
    name,
    title: `${method}, 400 MB of text`,
    targets: { cpu, wall: 1 },
    prepare: (dir, scale) => writeLarge(join(dir, 'module/text'), { mib: 381 * scale, seed: 'text', isText: true }),
    run: pulls(name, (_dir, out) => ['-a', '--whole-file', `--compress-choice=${method}`, `${out}/`]),
  };
}

export const SCENARIOS: readonly Scenario[] = [compressed('zlib', 0.8), compressed('zstd', 1), compressed('lz4', 1)];
