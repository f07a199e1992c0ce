/** The minimal root as it is built: reproducible, complete, nothing else, and the lists that are made from one source. */

import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SERVICE_CALLS, seccompText } from '../../deploy/build/syscalls.ts';
import { mustRun } from '../helpers/run.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { PROJECT, ROOT } from './build.ts';

const PATHS = readdirSync(ROOT, { recursive: true, encoding: 'utf8' }).sort();
const PROGRAM = '/usr/lib/gokr-rsyncd/gokr-rsyncd.mjs';

const files = PATHS.filter((path) => lstatSync(join(ROOT, path)).isFile());

interface BomEntry {
  readonly type: string;
  readonly name: string;
  readonly components?: readonly BomEntry[];
}

/** Paths of all files that the bill of materials accounts for. */
function filesOf(entry: BomEntry): string[] {
  return [...(entry.type === 'file' ? [entry.name] : []), ...(entry.components ?? []).flatMap(filesOf)];
}

describe('dist/root', () => {
  it('has the same bytes each time', async () => {
    const scratch = scratchDir('root');
    const digests = [];
    for (const name of ['a', 'b']) {
      const { stdout } = await mustRun(process.execPath, [join(PROJECT, 'deploy/build/root.ts'), join(scratch, name)]);
      digests.push(/sha256 ([0-9a-f]{64})/.exec(stdout.toString())?.[1]);
    }
    removeTree(scratch);
    expect(digests[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(digests[1]).toBe(digests[0]);
  });

  it('holds no program but Node and the loader, no link, and nothing that others may write', () => {
    const modes = PATHS.map((path) => ({ path, stat: lstatSync(join(ROOT, path)) }));
    const programs = modes.filter(({ stat }) => stat.isFile() && (stat.mode & 0o111) !== 0).map(({ path }) => path);
    expect(programs).toEqual(['bin/node', expect.stringMatching(/^lib(64)?\/ld-linux-[\w-]+\.so\.\d$/)]);
    expect(modes.filter(({ stat }) => stat.isSymbolicLink() || (stat.mode & 0o022) !== 0)).toEqual([]);
  });

  it('accounts for every file that is executed in its bill of materials', () => {
    const bom = JSON.parse(readFileSync(join(ROOT, 'usr/share/gokr-rsyncd/sbom.cdx.json'), 'utf8'));
    const known = [bom.metadata.component, ...bom.components].flatMap(filesOf);
    const code = files
      .filter((path) => /^(bin|lib|lib64)\/|\.(mjs|cjs|cache|node)$/.test(path))
      .map((path) => `/${path}`);
    expect(known.sort()).toEqual(code);
  });

  it('has a licence for every package', () => {
    const bom = JSON.parse(readFileSync(join(ROOT, 'usr/share/gokr-rsyncd/sbom.cdx.json'), 'utf8'));
    const names = (bom.components as BomEntry[]).map(({ name }) => name);
    const without = names.filter((name) => !files.some((path) => path.startsWith(`usr/share/licenses/${name}/`)));
    expect(without).toEqual([]);
  });

  it.each([[], ['--jitless']])('runs alone with %j', async (...flags) => {
    const { stdout } = await mustRun('chroot', [ROOT, '/bin/node', ...flags, PROGRAM, '--version']);
    expect(stdout.toString()).toContain('protocol version 32');
  });

  it.each(['gokr-rsyncd.service', 'Dockerfile', 'deploy/deb/gokr-rsyncd'])(
    'has compiled code that V8 takes with the flags of %s',
    async (starter) => {
      const text = readFileSync(join(PROJECT, starter), 'utf8');
      const flags = [...text.matchAll(/--(?:disallow|max|min)-[a-z-]*(?:=\d+)?/g)].map(([flag]) => flag);
      expect(flags).toContain('--disallow-code-generation-from-strings');
      const caches = files.filter((path) => path.endsWith('.cache')).map((path) => `/${path}`);
      const script = `const { readFileSync } = require('fs');
        for (const cache of ${JSON.stringify(caches)}) {
          const source = readFileSync(cache.replace(/cache$/, 'cjs'), 'latin1');
          console.log(new (require('vm').Script)(source, { cachedData: readFileSync(cache) }).cachedDataRejected);
        }`;
      const { stdout } = await mustRun('chroot', [ROOT, '/bin/node', ...new Set(flags), '--eval', script]);
      expect(stdout.toString()).toBe('false\n'.repeat(3));
    },
  );
});

describe('the list of system calls', () => {
  it('is the same in the unit', () => {
    const unit = readFileSync(join(PROJECT, 'gokr-rsyncd.service'), 'utf8');
    const names = [...unit.matchAll(/^SystemCallFilter=(.*)$/gm)].flatMap(([, line]) => line!.split(' '));
    expect(names).toEqual(SERVICE_CALLS);
  });

  it('is the same in the container profile', () => {
    expect(readFileSync(join(PROJECT, 'deploy/seccomp.json'), 'utf8')).toBe(seccompText());
  });
});
