/**
 * `npm run release`: everything that is published, in dist/release, with SHA256SUMS: the Debian package, the portable service image,
 * the OCI archive and the bill of materials. Built twice, and refused when the bytes differ; then the system tests of the three run
 * on these very files (`-- --untested` leaves them out). Needs root, dpkg-deb and squashfs-tools, the tests what `.ci/run` installs.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DIST, PROJECT } from './bundle.ts';
import { buildDeb } from './deb.ts';
import { buildOci } from './oci.ts';
import { buildPortable } from './portable.ts';
import { NAME, VERSION } from './version.ts';

const SUMS = 'SHA256SUMS';

/** Tells the system tests where the files are that they are to try. */
export const RELEASE_VARIABLE = 'GOKR_RSYNCD_RELEASE';

const TESTS = ['system/deb', 'system/portable', 'system/docker'];

/** Builds all artefacts in `directory`, replacing what is there. @returns the text of SHA256SUMS, which `sha256sum -c` takes. */
export async function buildRelease(directory: string): Promise<string> {
  rmSync(directory, { recursive: true, force: true });
  await buildDeb(directory);
  await buildOci(directory);
  const [top, image] = await buildPortable(directory);
  if (image === undefined) throw new Error('no portable image: install squashfs-tools');
  const bom = `usr/share/${NAME}/sbom.cdx.json`;
  copyFileSync(join(top!, bom), join(directory, `${NAME}_${VERSION}.cdx.json`));
  rmSync(top!, { recursive: true });
  const sums = readdirSync(directory).sort().map((name) => `${digestOf(join(directory, name))}  ${name}\n`);
  writeFileSync(join(directory, SUMS), sums.join(''));
  return sums.join('');
}

const digestOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

async function assertReproducible(sums: string): Promise<void> {
  const again = mkdtempSync(join(tmpdir(), 'gokr-rsyncd-release-'));
  try {
    const other = await buildRelease(again);
    if (other !== sums) throw new Error(`a second build has other bytes:\n${sums}\n${other}`);
  } finally {
    rmSync(again, { recursive: true, force: true });
  }
}

/** @returns the exit code of the tests. */
function testRelease(directory: string): number {
  const vitest = join(PROJECT, 'node_modules/vitest/vitest.mjs');
  const command = [vitest, 'run', '--config', 'test/vitest.system.config.ts', ...TESTS];
  const env = { ...process.env, CI: 'true', [RELEASE_VARIABLE]: directory };
  return spawnSync(process.execPath, command, { cwd: PROJECT, stdio: 'inherit', env }).status ?? 1;
}

if (import.meta.main) {
  const directory = join(DIST, 'release');
  const sums = await buildRelease(directory);
  await assertReproducible(sums);
  process.stdout.write(`${directory}, the same bytes twice:\n${sums}`);
  if (!process.argv.includes('--untested')) process.exitCode = testRelease(directory);
}
