/** What the daemon of the scoreboard serves: a module for the honest client, and one with everything that attacks aim at. */

import { closeSync, mkdirSync, openSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytesOf } from '../helpers/content.ts';
import { makeManyFiles } from '../helpers/many-files.ts';
import type { ModuleSpec } from '../helpers/module-spec.ts';

export const HONEST_FILES = 40;
const HONEST_FILE_BYTES = 100_000;
export const HONEST_BYTES = HONEST_FILES * HONEST_FILE_BYTES;

/** Bytes of `zeros`, which has no content on the disk. */
export const ZEROS_BYTES = 64 * 1024 * 1024;

/** How large the trees are. */
export interface TreeSizes {
  /** Names in the one directory `flat`. */
  readonly flat: number;
  /** Small files below `many`. */
  readonly many: number;
}

/** Makes both trees below `dir`; returns the modules. */
export function makeModules(dir: string, sizes: TreeSizes): ModuleSpec[] {
  for (const name of ['honest', 'target/flat', 'target/many', 'target/merges']) {
    mkdirSync(join(dir, name), { recursive: true });
  }
  const content = randomBytesOf('honest', HONEST_FILE_BYTES);
  for (let index = 0; index < HONEST_FILES; index++) {
    writeFileSync(join(dir, `honest/file${String(index).padStart(3, '0')}`), content);
  }
  const target = join(dir, 'target');
  makeManyFiles(join(target, 'many'), sizes.many);
  for (let index = 0; index < sizes.flat; index++) closeSync(openSync(join(target, 'flat', `entry-${index}`), 'w'));
  writeFileSync(join(target, 'zeros'), '');
  truncateSync(join(target, 'zeros'), ZEROS_BYTES);
  writeFileSync(join(target, 'names'), 'missing/name\n'.repeat(1_000_000));
  writeFileSync(join(target, 'merges/rules'), '# a comment and nothing else\n'.repeat(2200));
  writeFileSync(join(dir, 'secrets'), 'alice:secret\n', { mode: 0o600 });
  return [
    { name: 'honest', path: join(dir, 'honest') },
    { name: 'target', path: target },
    { name: 'locked', path: target, keys: { auth_users: ['alice'], secrets_file: join(dir, 'secrets') } },
    { name: 'narrow', path: target, keys: { max_connections: 1, queue: 100 } },
  ];
}
