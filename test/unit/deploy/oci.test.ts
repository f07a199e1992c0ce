/** The OCI archive of a small root: what other programs read in it. */

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROJECT } from '../../../deploy/build/bundle.ts';
import { containerConfig, ociArchive } from '../../../deploy/build/oci.ts';
import { tarOf } from '../../../deploy/build/tar.ts';
import { writeTree } from '../../../deploy/build/tree.ts';
import { mustRun } from '../../helpers/run.ts';
import { removeTree, scratchDir } from '../../helpers/scratch.ts';

const DOCKERFILE = readFileSync(join(PROJECT, 'Dockerfile'), 'utf8');
const LONG = `${'d'.repeat(80)}/${'e'.repeat(60)}/file`;
const FILES = new Map([
  ['bin/node', { bytes: Buffer.from('#!'), isExecutable: true }],
  [LONG, { bytes: Buffer.alloc(513, 'x'), isExecutable: false }],
]);

let dir: string;

beforeAll(() => {
  dir = scratchDir('oci');
  writeTree(join(dir, 'root'), FILES, ['proc']);
});
afterAll(() => removeTree(dir));

const archive = (): Buffer => ociArchive(join(dir, 'root'), DOCKERFILE);

/** Standard output of tar, reading `bytes`. */
async function tar(bytes: Uint8Array, ...args: string[]): Promise<Buffer> {
  const file = join(dir, 'read.tar');
  writeFileSync(file, bytes);
  return (await mustRun('tar', [...args, '--file', file])).stdout;
}

describe('tarOf', () => {
  it('is a tar file to tar: directories first, owned by root, of one time', async () => {
    const text = (await tar(tarOf(FILES, ['proc']), '--list', '--verbose', '--numeric-owner')).toString();
    const rows = text
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/));
    expect(rows.map(([mode, owner, size, date, , path]) => [mode, owner, size, date, path])).toEqual([
      ['drwxr-xr-x', '0/0', '0', '1980-01-01', 'bin/'],
      ['-rwxr-xr-x', '0/0', '2', '1980-01-01', 'bin/node'],
      ['drwxr-xr-x', '0/0', '0', '1980-01-01', `${LONG.split('/')[0]}/`],
      ['drwxr-xr-x', '0/0', '0', '1980-01-01', `${LONG.slice(0, LONG.lastIndexOf('/'))}/`],
      ['-rw-r--r--', '0/0', '513', '1980-01-01', LONG],
      ['drwxr-xr-x', '0/0', '0', '1980-01-01', 'proc/'],
    ]);
  });

  it('refuses a path that no header can hold', () => {
    const files = new Map([['x'.repeat(200), { bytes: Buffer.alloc(0), isExecutable: false }]]);
    expect(() => tarOf(files)).toThrow('too long');
  });
});

describe('ociArchive', () => {
  it('has the same bytes each time', () => {
    expect(archive().equals(archive())).toBe(true);
  });

  it('leads from the index to the layer, and every digest is right', async () => {
    const bytes = archive();
    const blob = async ({ digest, size }: { digest: string; size: number }): Promise<Buffer> => {
      const content = await tar(bytes, '--extract', '--to-stdout', `blobs/${digest.replace(':', '/')}`);
      expect(digest).toBe(`sha256:${createHash('sha256').update(content).digest('hex')}`);
      expect(size).toBe(content.length);
      return content;
    };
    const index = JSON.parse((await tar(bytes, '--extract', '--to-stdout', 'index.json')).toString());
    const manifest = JSON.parse((await blob(index.manifests[0])).toString());
    const config = JSON.parse((await blob(manifest.config)).toString());
    const layer = gunzipSync(await blob(manifest.layers[0]));
    expect(config.rootfs.diff_ids).toEqual([`sha256:${createHash('sha256').update(layer).digest('hex')}`]);
    expect((await tar(layer, '--list')).toString()).toContain('bin/node\n');
  });
});

it('containerConfig takes what the Dockerfile says', () => {
  const { Healthcheck, ...config } = containerConfig(DOCKERFILE);
  expect(config).toMatchObject({ User: '65534:65534', ExposedPorts: { '8730/tcp': {} }, StopSignal: 'SIGTERM' });
  expect(config.Labels).toMatchObject({ 'org.opencontainers.image.licenses': 'BSD-3-Clause' });
  expect(config.Cmd).toContain('--modules-in=/modules');
  expect(Healthcheck).toMatchObject({ Interval: 30e9, Timeout: 5e9, StartPeriod: 5e9 });
  expect(() => containerConfig('\nFROM scratch\n')).toThrow('has no LABEL');
});
