/** One large file, whole, with each kind of checksum that clients agree on. */

import { join } from 'node:path';
import { pulls } from '../pulls.ts';
import type { Scenario } from '../scenario.ts';
import { writeLarge } from '../trees.ts';

function large(name: string, title: string, options: readonly string[], targets: Scenario['targets']): Scenario {
  return {
    name,
    title: `one 2 GiB file, ${title}`,
    targets,
    prepare: (dir, scale) => writeLarge(join(dir, 'module/large'), { mib: 2048 * scale, seed: 'large' }),
    run: pulls(name, (_dir, out) => ['-a', '--whole-file', ...options, `${out}/`]),
  };
}

export const SCENARIOS: readonly Scenario[] = [
  large('large', 'xxh128', [], { cpu: 0.9, wall: 1 }),
  large('large-md5', 'MD5', ['--checksum-choice=md5'], { cpu: 1, wall: 1 }),
  large('large-md4', 'protocol 27 (MD4)', ['--protocol=27'], { cpu: 1, wall: 1 }),
];
