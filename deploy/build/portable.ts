/**
 * `npm run build:portable [-- DIRECTORY]`: a portable service: dist/gokr-rsyncd_VERSION, the minimal root with units inside,
 * and the same as a squashfs file, .raw, where mksquashfs is installed. `portablectl attach --profile=strict` takes either,
 * together with deploy/portable.conf. The same inputs give the same bytes.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DIST, PROJECT } from './bundle.ts';
import { buildRoot } from './root.ts';
import { epochSec, readTree, summarise, writeTree } from './tree.ts';
import { NAME, VERSION } from './version.ts';

const UNITS = 'usr/lib/systemd/system';

/** Where systemd puts files of the host, and what it can make mount points below: an image cannot be written to. */
const MOUNT_FILES = ['etc/machine-id', 'etc/resolv.conf', `etc/${NAME}.toml`];
const MOUNT_DIRECTORIES = [`etc/${NAME}`, 'srv', 'home', 'usr/share/gokr-rsyncd/sample'];

/** The image is the root: the unit must not name another. Modules appear below directories that are memory. */
function portableUnit(text: string): string {
  return text.replace(/^RootDirectory=.*$/m, 'TemporaryFileSystem=/srv:ro /modules:ro');
}

/** Builds the image as a directory and, where it can, as a file. @returns the paths that it made. */
export async function buildPortable(directory: string): Promise<string[]> {
  const scratch = mkdtempSync(join(tmpdir(), 'gokr-rsyncd-portable-'));
  try {
    await buildRoot(join(scratch, 'root'));
    const { files, emptyDirectories } = readTree(join(scratch, 'root'));
    const put = (path: string, text: string) => files.set(path, { bytes: Buffer.from(text), isExecutable: false });
    put('usr/lib/os-release', `ID=${NAME}\nNAME="${NAME}"\nVERSION_ID=${VERSION}\nPORTABLE_PREFIXES=${NAME}\n`);
    put(`${UNITS}/${NAME}.service`, portableUnit(readFileSync(join(PROJECT, `${NAME}.service`), 'utf8')));
    put(`${UNITS}/${NAME}.socket`, readFileSync(join(PROJECT, `${NAME}.socket`), 'utf8'));
    for (const path of MOUNT_FILES) put(path, '');
    const top = join(directory, `${NAME}_${VERSION}`);
    writeTree(top, files, [...emptyDirectories, ...MOUNT_DIRECTORIES]);
    return [top, ...squash(top)];
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function squash(top: string): string[] {
  if (spawnSync('mksquashfs', ['-version']).error !== undefined) return [];
  const image = `${top}.raw`;
  // The times of the files are fixed already; that of the image is the one of its top directory.
  const options = ['-noappend', '-all-root', '-no-xattrs', '-comp', 'zstd', '-quiet', '-no-progress'];
  const env = { PATH: process.env.PATH ?? '' };
  execFileSync('mksquashfs', [top, image, ...options, '-mkfs-time', String(epochSec())], { env, stdio: 'inherit' });
  return [image];
}

if (import.meta.main) {
  const [top, ...images] = await buildPortable(resolve(process.argv[2] ?? DIST));
  const { files, bytes, digest } = summarise(top!);
  process.stdout.write(`${top}: ${files} files, ${(bytes / 1024 ** 2).toFixed(1)} MiB, sha256 ${digest}\n`);
  process.stdout.write(images.length === 0 ? 'no .raw image: install squashfs-tools\n' : `${images[0]}\n`);
}
