/** Files of which the client has an older form, and whole-content comparison. */

import { readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytesOf, withEdits } from '../../helpers/content.ts';
import { pulls } from '../pulls.ts';
import { EACH_WORKER, type Scenario } from '../scenario.ts';
import { writeLarge } from '../trees.ts';

/** The old file stands beside the destination, so that it is the same in every run. */
const delta = (dir: string, out: string): readonly string[] => [
  '-a',
  '--no-whole-file',
  '--ignore-times',
  `--compare-dest=${join(dir, 'basis')}`,
  `${out}/`,
];

/** `count` offsets spread over `length` bytes. */
function spread(length: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => Math.floor(((index + 0.5) * length) / count));
}

/** Edits in each part, and in the fifth some new bytes that shift all that follows. */
function edited(part: Buffer, index: number): Buffer {
  const changed = withEdits(part, spread(part.length, 25));
  const middle = changed.length >> 1;
  if (index !== 4) return changed;
  return Buffer.concat([changed.subarray(0, middle), randomBytesOf('inserted', 1001), changed.subarray(middle)]);
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'delta-none',
    title: 'delta, 400 MB, nothing matches',
    targets: { cpu: 0.3, wall: 0.4 },
    prepare: (dir, scale) => {
      writeLarge(join(dir, 'basis/file'), { mib: 381 * scale, seed: 'old' });
      writeLarge(join(dir, 'module/file'), { mib: 381 * scale, seed: 'new' });
    },
    run: pulls('delta-none', delta),
  },
  {
    name: 'delta-few',
    title: 'delta, 1 GB, scattered edits and one insertion',
    targets: { cpu: 0.9, wall: 1 },
    prepare: (dir, scale) => {
      writeLarge(join(dir, 'basis/file'), { mib: 954 * scale, seed: 'delta' });
      writeLarge(join(dir, 'module/file'), { mib: 954 * scale, seed: 'delta', change: edited });
    },
    run: pulls('delta-few', delta),
  },
  {
    name: 'checksum',
    title: '`-c` on 400 MB, first client',
    targets: { cpu: 1.2, wall: 1 },
    // A worker that has never summed takes three times as long as one that has.
    warmUps: EACH_WORKER,
    prepare: (dir, scale) => {
      for (const [name, count] of [
        ['module', 40],
        ['copy', 40],
      ] as const) {
        for (let i = 0; i < count; i++) writeLarge(join(dir, name, `f${i}`), { mib: 9.54 * scale, seed: `sum${i}` });
      }
    },
    run: (server, dir, ...more) => {
      touchAll(join(dir, 'module'));
      return pulls('checksum', () => ['-rc', join(dir, 'copy/')])(server, dir, ...more);
    },
  },
];

/** New times, so that no sum is known any more. */
function touchAll(dir: string): void {
  const now = new Date();
  for (const name of readdirSync(dir)) utimesSync(join(dir, name), now, now);
}
