/** Public rsync issues of compression, attributes, name converters and hooks. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareSnapshots } from '../helpers/compare-snapshots.ts';
import { randomBytesOf } from '../helpers/content.ts';
import { run } from '../helpers/run.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { snapshot } from '../helpers/snapshot.ts';
import type { TreeEntry } from '../helpers/tree.ts';
import { hasAttributeTools } from '../interop/attribute-tree.ts';
import { hasRoot } from '../setup/clients.ts';
import { Server } from './support/server.ts';
import { openStage, type Stage } from './support/stage.ts';

/** Runs that come again just inside and just outside of deflate's window, between bytes that do not compress. */
function distantMatches(distance: number): Buffer {
  const again = randomBytesOf('again', 258);
  const pieces = Array.from({ length: 12 }, (_, index) => [
    again,
    randomBytesOf(`${distance} ${index}`, distance - 258),
  ]);
  return Buffer.concat(pieces.flat());
}

/** What overran the pending buffer: symbols that all need the longest codes, in blocks as long as they may be. */
function longestCodes(): Buffer {
  const bytes = Buffer.alloc(300_000);
  for (let at = 0; at < bytes.length; at++) bytes[at] = at % 3 === 0 ? (at * 7919) >>> 3 : 144 + ((at * 31) % 112);
  return bytes;
}

const TREE: readonly TreeEntry[] = [
  { name: 'inside', content: distantMatches(32_506) },
  { name: 'outside', content: distantMatches(32_768) },
  { name: 'codes', content: longestCodes() },
  { name: 'noise', content: randomBytesOf('noise', 300_000) },
  { name: 'zeros', content: Buffer.alloc(300_000) },
  { name: 'hidden/secret', content: 'secret\n' },
];

describe.skipIf(!hasRoot())('immunity of features', { timeout: 120_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({ keys: { exclude: ['/hidden/'], xattrs: true }, tree: TREE });
    const path = join(stage.dir, 'pub');
    if (!hasAttributeTools()) return;
    for (const name of ['noise', 'hidden', 'hidden/secret']) {
      await run('setfattr', ['-n', 'user.mark', '-v', `of ${name}`, join(path, name)]);
      await run('setfacl', ['-m', 'u:12345:r', join(path, name)]);
    }
  });
  afterAll(async () => {
    await stage.close();
  });

  /** Pulls everything with options; what came must be what the module shows. */
  async function pull(name: string, options: readonly string[]): Promise<string> {
    const destination = join(stage.dir, `got-${name}`);
    const { exitCode, stderr } = await stage.rsync(['-a', ...options, 'URL/pub/', `${destination}/`]);
    expect({ exit: exitCode, stderr: stderr.toString() }).toEqual({ exit: 0, stderr: '' });
    const seen = { startedMs: Number.MAX_SAFE_INTEGER };
    const served = snapshot(join(stage.dir, 'pub'), seen);
    const expected = new Map([...served].filter(([path]) => !path.startsWith('hidden')));
    expect(compareSnapshots(expected, snapshot(destination, seen))).toEqual([]);
    return destination;
  }

  it.each([1, 6, 9])('CVE-2018-25032: what was made to overrun deflate arrives whole at level %i', async (level) => {
    for (const choice of ['zlib', 'zlibx']) {
      await pull(`${choice}${level}`, ['-z', `--compress-choice=${choice}`, `--compress-level=${level}`]);
    }
  });

  it.runIf(hasAttributeTools())(
    '3.0.8 note: attributes and access lists of what is excluded are never read',
    async () => {
      const destination = await pull('attributes', ['-A', '-X']);
      const shown = await run('getfattr', ['--only-values', '-n', 'user.mark', join(destination, 'noise')]);
      expect(shown.stdout.toString()).toBe('of noise');
      expect(stage.server.lines.join('\n')).not.toContain('of hidden');
    },
  );

  it.each([
    ['CVE-2026-53788: a name converter', 'name converter = /bin/true'],
    ['CVE-2026-53790: a hook before the transfer', 'pre-xfer exec = /bin/true'],
    ['CVE-2026-53790: a hook at the connection', 'early exec = /bin/true'],
  ])('%s in rsyncd.conf is refused at the start, with its line', async (_title, line) => {
    const dir = scratchDir('hooks');
    const file = join(dir, 'rsyncd.conf');
    writeFileSync(file, `port = 8730\n[pub]\npath = ${join(stage.dir, 'pub')}\n${line}\n`);
    const server = new Server({ args: ['--config', file] });
    const { exitCode, stderr } = await server.ended();
    await server.stop();
    removeTree(dir);
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/rsyncd\.conf:4\b/)]);
  });
});
