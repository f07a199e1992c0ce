/** Transfers whose size is the point: the daemon's memory must not grow with them. Prints its peak. */

import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { randomBytesOf } from '../helpers/content.ts';
import { startDaemon } from '../helpers/daemon.ts';
import { makeManyFiles } from '../helpers/many-files.ts';
import { startReferenceDaemon } from '../helpers/reference-daemon.ts';
import { moduleUrl, rsync } from '../helpers/rsync.ts';
import { mustRun } from '../helpers/run.ts';
import type { RunningDaemon } from '../helpers/running-daemon.ts';
import { removeTree, scratchDir } from '../helpers/scratch.ts';
import { hasRoot } from '../setup/clients.ts';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
const FILES = 100_000;
/** Generous: what a session may need for 100 000 entries and one large file, on top of an idle Node of 60 MiB. */
const PEAK_MIB = 400;
const SLOW = 300_000;

describe.skipIf(!hasRoot())('large transfers', () => {
  let dir: string;
  let daemon: RunningDaemon;

  beforeAll(async () => {
    dir = scratchDir('big');
    fs.mkdirSync(join(dir, 'files'));
    makeSparse(join(dir, 'files/3GiB'), 3 * GIB);
    makeSparse(join(dir, 'files/5GiB'), 5 * GIB);
    fs.mkdirSync(join(dir, 'many'));
    makeManyFiles(join(dir, 'many'), FILES);
    const modules = ['files', 'many'].map((name) => ({ name, path: join(dir, name) }));
    const self = process.env.EQUIVALENCE_SELF === '1';
    daemon = self ? await startReferenceDaemon(modules) : await startDaemon({ modules });
  }, SLOW);

  afterAll(async () => {
    await daemon?.stop();
    removeTree(dir);
  }, SLOW);

  function expectBoundedMemory(what: string): void {
    const peakMiB = daemon.peakRssKiB() / 1024;
    console.log(`daemon peak RSS after ${what}: ${peakMiB.toFixed(0)} MiB`);
    expect(peakMiB).toBeLessThan(PEAK_MIB);
  }

  async function pull(args: readonly string[], module: string, path = ''): Promise<string> {
    const url = moduleUrl(daemon.port, module, path);
    return mustRsync([...args, url, `copy-of-${module}/`], dir);
  }

  it('sends a file of 3 GiB within bounded memory', { timeout: SLOW }, async () => {
    await pull(['-aS'], 'files', '3GiB');
    await mustRun('cmp', [join(dir, 'files/3GiB'), join(dir, 'copy-of-files/3GiB')], { deadlineMs: SLOW });
    expectBoundedMemory('a file of 3 GiB');
  });

  it('sends a delta of a file of 3 GiB', { timeout: SLOW }, async () => {
    const handle = fs.openSync(join(dir, 'copy-of-files/3GiB'), 'r+');
    fs.writeSync(handle, 'wrong bytes', 1.5 * GIB);
    fs.closeSync(handle);
    const shown = await pull(['-aI', '--inplace', '--no-whole-file', '--stats'], 'files', '3GiB');
    const literal = Number(/Literal data: ([\d,]+)/.exec(shown)?.[1]?.replaceAll(',', ''));
    await mustRun('cmp', [join(dir, 'files/3GiB'), join(dir, 'copy-of-files/3GiB')], { deadlineMs: SLOW });
    expect(literal).toBeLessThan(MIB);
    expectBoundedMemory('a delta of 3 GiB');
  });

  it.each([27, 29, 30, 32])('lists the size of a file of 5 GiB with protocol %i', async (protocol) => {
    const shown = await pull(['--list-only', '--no-h', `--protocol=${protocol}`], 'files', '5GiB');
    expect(shown).toMatch(/ 5[,]?368[,]?709[,]?120 /);
  });

  it.each([30, 32])('appends what is missing beyond 4 GiB with protocol %i', async (protocol) => {
    const copy = join(dir, 'copy-of-files/5GiB');
    fs.mkdirSync(join(dir, 'copy-of-files'), { recursive: true });
    makeSparse(copy, 5 * GIB);
    fs.truncateSync(copy, 5 * GIB - 100_000);
    await pull(['-a', '--append', `--protocol=${protocol}`], 'files', '5GiB');
    expect(lastBytes(copy, 200_000)).toEqual(lastBytes(join(dir, 'files/5GiB'), 200_000));
    expectBoundedMemory('the end of a file of 5 GiB');
  });

  it(`sends a tree of ${FILES} files within bounded memory`, { timeout: SLOW }, async () => {
    await pull(['-a'], 'many');
    const check = ['-aic', '--delete', '--dry-run', `${join(dir, 'many')}/`, 'copy-of-many/'];
    expect(await mustRsync(check, dir)).toBe('');
    expectBoundedMemory(`${FILES} files`);
  });

  it.each([27, 29, 31])(`finds ${FILES} files up to date with protocol %i`, { timeout: SLOW }, async (protocol) => {
    expect(await pull(['-ai', `--protocol=${protocol}`], 'many')).toBe('');
    expectBoundedMemory(`${FILES} files with protocol ${protocol}`);
  });
});

async function mustRsync(args: readonly string[], cwd: string): Promise<string> {
  const result = await rsync(args, { cwd, deadlineMs: SLOW });
  expect({ exitCode: result.exitCode, stderr: result.stderr.toString('latin1') }).toEqual({ exitCode: 0, stderr: '' });
  return result.stdout.toString('latin1');
}

/** A file with 64 KiB of data at its start, middle and end and holes between. */
function makeSparse(path: string, size: number): void {
  const handle = fs.openSync(path, 'w');
  const data = randomBytesOf('data', 65_536);
  for (const offset of [0, size / 2, size - data.length]) fs.writeSync(handle, data, 0, data.length, offset);
  fs.closeSync(handle);
}

function lastBytes(path: string, count: number): Buffer {
  const handle = fs.openSync(path, 'r');
  const bytes = Buffer.alloc(count);
  fs.readSync(handle, bytes, 0, count, fs.fstatSync(handle).size - count);
  fs.closeSync(handle);
  return bytes;
}
