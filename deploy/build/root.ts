/**
 * `npm run build:root [-- DIRECTORY]`: the minimal root, dist/root: Node, the libraries that it needs, the bundle, licences and
 * the bill of materials. No shell, no link, no writable path. Three things use it: RootDirectory=
 * of the unit, the container image, and the target of pivot_root.
 */

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { DIST, makeBundle, PROJECT, withCodeCache } from './bundle.ts';
import { type Library, librariesOf } from './libraries.ts';
import { type Component, sbomText } from './sbom.ts';
import { summarise, type TreeFile, writeTree } from './tree.ts';

/** Where our code lives in the root. */
const APPLICATION = 'usr/lib/gokr-rsyncd';
const LICENCES = 'usr/share/licenses';

/** Mount points: what systemd, a container runtime or we ourselves put there, the modules of an image included. */
const MOUNT_POINTS = ['dev', 'etc', 'modules', 'proc', 'root', 'run', 'sys', 'tmp', 'var/tmp'];

interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

type Files = Map<string, TreeFile>;

const plain = (bytes: Uint8Array | string): TreeFile => ({ bytes: Buffer.from(bytes), isExecutable: false });
const executable = (file: string): TreeFile => ({ bytes: readFileSync(file), isExecutable: true });
const packageOf = (directory: string) =>
  JSON.parse(readFileSync(join(PROJECT, directory, 'package.json'), 'utf8')) as PackageJson;

/** Licence texts of a package as it was installed. */
function addLicences(files: Files, directory: string, name: string): void {
  const texts = readdirSync(join(PROJECT, directory)).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
  for (const file of texts.sort()) {
    files.set(`${LICENCES}/${name}/${file}`, plain(readFileSync(join(PROJECT, directory, file))));
  }
}

function addNode(files: Files): { binary: string; component: Component } {
  const directory = `node_modules/node-linux-${process.arch}`;
  const binary = join(PROJECT, directory, 'bin/node');
  const { version } = packageOf(directory);
  const node = executable(binary);
  files.set('bin/node', node);
  addLicences(files, directory, 'node');
  const versions = JSON.parse(execFileSync(binary, ['-p', 'JSON.stringify(process.versions)'], { encoding: 'utf8' }));
  const { node: _, modules, napi, ...builtIn } = versions as Record<string, string>;
  const parts = Object.entries(builtIn).map(([name, part]): Component => {
    return { type: 'library', name, version: part, purl: `pkg:generic/${name}@${encodeURIComponent(part)}` };
  });
  const component: Component = {
    type: 'platform',
    name: 'node',
    version,
    purl: `pkg:generic/node@${version}`,
    licence: 'MIT',
    files: { '/bin/node': node.bytes },
    parts,
  };
  return { binary, component };
}

function addBundled(files: Files, directories: readonly string[]): Component[] {
  return directories.map((directory) => {
    const { name, version, license } = packageOf(directory);
    addLicences(files, directory, name);
    return npmComponent({ name, version, ...(license === undefined ? {} : { license }) });
  });
}

function npmComponent({ name, version, license }: PackageJson): Component {
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  return { type: 'library', name, version, purl, ...(license === undefined ? {} : { licence: license }) };
}

function addLibraries(files: Files, libraries: readonly Library[]): Component[] {
  const byPackage = Map.groupBy(libraries, (library) => library.package);
  return [...byPackage]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, owned]) => {
      for (const { path } of owned) {
        const isLoader = basename(path).startsWith('ld-linux');
        files.set(path.slice(1), { bytes: readFileSync(path), isExecutable: isLoader });
      }
      files.set(`${LICENCES}/${name}/copyright`, plain(readFileSync(`/usr/share/doc/${name}/copyright`)));
      const { version } = owned[0]!;
      const contents = Object.fromEntries(owned.map(({ path }) => [path, readFileSync(path)]));
      const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}`;
      return { type: 'library', name, version, purl, files: contents } satisfies Component;
    });
}

/** Builds the root at `top`, replacing what is there. */
export async function buildRoot(top: string): Promise<void> {
  const files: Files = new Map();
  const ours = packageOf('.');
  addLicences(files, '.', ours.name);
  const node = addNode(files);
  const bundle = await withCodeCache(await makeBundle(), node.binary);
  const program = [...bundle.files].map(([name, bytes]) => [`${APPLICATION}/${name}`, bytes] as const);
  for (const [path, bytes] of program) files.set(path, plain(bytes));
  const components = [
    node.component,
    ...addBundled(files, bundle.packages),
    ...addLibraries(files, librariesOf([node.binary])),
  ];
  const product: Component = {
    ...npmComponent(ours),
    type: 'application',
    purl: `pkg:generic/${ours.name}@${ours.version}`,
    files: Object.fromEntries(program.map(([path, bytes]) => [`/${path}`, bytes])),
  };
  files.set(`usr/share/${ours.name}/sbom.cdx.json`, plain(sbomText(product, components)));
  writeTree(top, files, MOUNT_POINTS);
}

if (import.meta.main) {
  const top = resolve(process.argv[2] ?? join(DIST, 'root'));
  await buildRoot(top);
  const { files, directories, bytes, digest } = summarise(top);
  const mebibytes = (bytes / 1024 ** 2).toFixed(1);
  process.stdout.write(`${top}: ${files} files, ${directories} directories, ${mebibytes} MiB, sha256 ${digest}\n`);
}
