import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { modulesIn } from '../../../src/config/module-directory.ts';
import { ConfigError } from '../../../src/errors.ts';
import { removeTree, scratchDir } from '../../helpers/scratch.ts';

let dir: string;
beforeEach(() => {
  dir = scratchDir('modules-in');
});
afterEach(() => removeTree(dir));

describe('modulesIn', () => {
  it('makes a module of each directory, but not of files, links and hidden names', () => {
    for (const name of ['b', 'a', '.hidden']) mkdirSync(join(dir, name));
    writeFileSync(join(dir, 'file'), '');
    symlinkSync('/etc', join(dir, 'link'));
    expect(modulesIn(dir)).toEqual([`a=${dir}/a`, `b=${dir}/b`]);
  });

  it('refuses a directory that cannot be read', () => {
    expect(() => modulesIn(join(dir, 'nowhere'))).toThrow(ConfigError);
  });
});
