import { globSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../helpers/run.ts';
import { haveTool } from '../../interop/ssh-tools.ts';

const PROJECT = join(import.meta.dirname, '../../..');
const NAMES = [
  ...globSync('deploy/**/*.sh', { cwd: PROJECT }),
  ...['postinst', 'postrm', 'prerm'].map((name) => `deploy/deb/${name}`),
];

describe('the shell scripts of deploy/', () => {
  it.skipIf(!haveTool('shellcheck'))('are clean for shellcheck', async () => {
    expect(NAMES.length).toBeGreaterThanOrEqual(7);
    const { exitCode, stdout } = await run('shellcheck', NAMES, { cwd: PROJECT });
    expect([exitCode, stdout.toString()]).toEqual([0, '']);
  });
});
