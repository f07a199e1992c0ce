/** Shared libraries of a program, found through the loader itself, and the Debian packages that they come from. */

import { execFileSync, spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';

export interface Library {
  /** Where the loader looks for it: the place that it must have in the minimal root. */
  readonly path: string;
  /** The package that owns it, without architecture. */
  readonly package: string;
  readonly version: string;
}

function output(command: string, args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', env: { PATH: process.env.PATH ?? '', LC_ALL: 'C' } });
}

/** Paths in the output of ldd: `soname => path (address)`, or the loader alone; the kernel's own page has no path. */
function pathsOf(binary: string): string[] {
  const lines = output('ldd', [binary]).split('\n');
  const missing = lines.find((line) => line.includes('not found'));
  if (missing !== undefined) throw new Error(`${binary} needs a library that this machine lacks: ${missing.trim()}`);
  return lines.flatMap((line) => /(?:=>\s*|^\s*)(\/\S+)\s+\(0x/.exec(line)?.[1] ?? []);
}

/** With /usr merged into one tree, dpkg may know a file by another of its names: with or without /usr, link or target. */
function ownerOf(path: string): string {
  const names = [path, realpathSync(path)].flatMap((name) => [name, name.replace(/^\/usr/, ''), `/usr${name}`]);
  for (const name of names) {
    const { status, stdout } = spawnSync('dpkg-query', ['--search', name], { encoding: 'utf8' });
    if (status === 0) return stdout.split(':', 1)[0]!;
  }
  throw new Error(
    `no Debian package owns ${path}: build the minimal root on Debian or in the Dockerfile's first stage`,
  );
}

/** The libraries of all `binaries`, each once, sorted by path. */
export function librariesOf(binaries: readonly string[]): Library[] {
  const paths = [...new Set(binaries.flatMap(pathsOf))].sort();
  return paths.map((path) => {
    const name = ownerOf(path);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own placeholder
    return { path, package: name, version: output('dpkg-query', ['--show', '--showformat=${Version}', name]) };
  });
}
