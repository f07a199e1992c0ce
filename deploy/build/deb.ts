/**
 * `npm run build:deb [-- DIRECTORY]`: dist/gokr-rsyncd_VERSION_ARCH.deb: the minimal root, units, manual pages, a sample to
 * serve, and deploy/deb: control file, maintainer scripts, configuration. Needs dpkg-deb. The same inputs give the same bytes.
 */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { DIST, PROJECT } from './bundle.ts';
import { configPage, daemonPage } from './man.ts';
import { buildRoot } from './root.ts';
import { epochSec, readTree, type TreeFile, writeTree } from './tree.ts';
import { DEBIAN_ARCHITECTURE, NAME, VERSION } from './version.ts';

const INSTALLED_ROOT = `usr/lib/${NAME}/root`;
const UNITS = 'usr/lib/systemd/system';
const DOCUMENTS = `usr/share/doc/${NAME}`;
const SCRIPTS = ['postinst', 'prerm', 'postrm'];

/** The C library that Node's builds are linked against. */
const OLDEST_LIBC = '2.28';

type Files = Map<string, TreeFile>;

function fileOf(path: string, isExecutable = false): TreeFile {
  return { bytes: readFileSync(join(PROJECT, path)), isExecutable };
}

const textFile = (text: string): TreeFile => ({ bytes: Buffer.from(text), isExecutable: false });

/** gzip without name and time. */
const packed = (file: TreeFile): TreeFile => ({ bytes: gzipSync(file.bytes, { level: 9 }), isExecutable: false });

/** The files of a directory of the project. */
function filesIn(directory: string, pattern: RegExp): string[] {
  return readdirSync(join(PROJECT, directory))
    .filter((name) => pattern.test(name))
    .sort();
}

function addUnits(files: Files): void {
  for (const unit of [`${NAME}.service`, `${NAME}.socket`]) files.set(`${UNITS}/${unit}`, fileOf(unit));
  for (const unit of filesIn('deploy', /\.socket$/)) files.set(`${UNITS}/${unit}`, fileOf(`deploy/${unit}`));
  files.set(`${UNITS}/${NAME}.service.d/host-key.conf`, fileOf('deploy/deb/host-key.conf'));
}

function addDocuments(files: Files): void {
  for (const { name, text } of [daemonPage(), configPage()]) {
    files.set(`usr/share/man/man${name.at(-1)}/${name}.gz`, packed(textFile(text)));
  }
  files.set(`${DOCUMENTS}/copyright`, fileOf('LICENSE'));
  for (const name of ['README.md', 'SECURITY.md']) files.set(`${DOCUMENTS}/${name}.gz`, packed(fileOf(name)));
  for (const name of filesIn('deploy', /^example\.toml$|\.conf$|^seccomp\.json$/)) {
    files.set(`${DOCUMENTS}/examples/${name}`, fileOf(`deploy/${name}`));
  }
  for (const name of filesIn('deploy/systemd', /\.conf$/)) {
    files.set(`${DOCUMENTS}/examples/systemd/${name}`, fileOf(`deploy/systemd/${name}`));
  }
  files.set(
    `usr/share/${NAME}/sample/README`,
    textFile('This came from gokr-rsyncd, over rsync. What is served says /etc/gokr-rsyncd.toml.\n'),
  );
}

/** Everything below `root`, as the package installs it, and the one library that the program needs outside as well. */
function addRoot(files: Files, root: string): string[] {
  const { files: inRoot, emptyDirectories } = readTree(root);
  for (const [path, file] of inRoot) {
    files.set(`${INSTALLED_ROOT}/${path}`, file);
    if (path.endsWith('/libatomic.so.1')) files.set(`usr/lib/${NAME}/lib/libatomic.so.1`, file);
  }
  return emptyDirectories.map((path) => `${INSTALLED_ROOT}/${path}`);
}

function addControl(files: Files): void {
  const installed = [...files.values()].reduce((sum, { bytes }) => sum + Math.ceil(bytes.length / 1024), 0);
  const values: Readonly<Record<string, string>> = {
    VERSION,
    ARCHITECTURE: DEBIAN_ARCHITECTURE,
    INSTALLED_SIZE: String(installed),
    LIBC: OLDEST_LIBC,
  };
  const control = fileOf('deploy/deb/control').bytes.toString();
  files.set('DEBIAN/control', textFile(control.replace(/@([A-Z_]+)@/g, (_, name: string) => values[name]!)));
  files.set('DEBIAN/conffiles', textFile(`/etc/${NAME}.toml\n`));
  for (const script of SCRIPTS) files.set(`DEBIAN/${script}`, fileOf(`deploy/deb/${script}`, true));
  const sums = [...files]
    .filter(([path]) => !path.startsWith('DEBIAN/') && !path.startsWith('etc/'))
    .map(([path, { bytes }]) => `${createHash('md5').update(bytes).digest('hex')}  ${path}\n`);
  files.set('DEBIAN/md5sums', textFile(sums.sort().join('')));
}

/** Builds the package in `directory`. @returns its path. */
export async function buildDeb(directory: string): Promise<string> {
  const scratch = mkdtempSync(join(tmpdir(), 'gokr-rsyncd-deb-'));
  try {
    await buildRoot(join(scratch, 'root'));
    const files: Files = new Map();
    const emptyDirectories = addRoot(files, join(scratch, 'root'));
    addUnits(files);
    addDocuments(files);
    files.set(`etc/${NAME}.toml`, fileOf('deploy/deb/gokr-rsyncd.toml'));
    files.set(`usr/bin/${NAME}`, fileOf('deploy/deb/gokr-rsyncd', true));
    addControl(files);
    writeTree(join(scratch, 'package'), files, [...emptyDirectories, `etc/${NAME}`]);
    const deb = join(directory, `${NAME}_${VERSION}_${DEBIAN_ARCHITECTURE}.deb`);
    mkdirSync(directory, { recursive: true });
    const env = { ...process.env, SOURCE_DATE_EPOCH: String(epochSec()) };
    // zstd: Debian 12 and newer. xz saves a fifth of the size and takes ten times as long.
    const options = ['--root-owner-group', '-Zzstd', '-z12', '--build'];
    execFileSync('dpkg-deb', [...options, join(scratch, 'package'), deb], { env, stdio: ['ignore', 'ignore', 'inherit'] });
    return deb;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const deb = await buildDeb(resolve(process.argv[2] ?? DIST));
  const bytes = readFileSync(deb);
  const digest = createHash('sha256').update(bytes).digest('hex');
  process.stdout.write(`${deb}: ${(bytes.length / 1024 ** 2).toFixed(1)} MiB, sha256 ${digest}\n`);
}
