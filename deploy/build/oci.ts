/**
 * `npm run build:oci [-- DIRECTORY]`: dist/gokr-rsyncd_VERSION_ARCH.oci.tar: the image of the Dockerfile's last stage as an archive
 * that `docker load`, `podman load` and `skopeo copy oci-archive:` take; made without a Docker daemon. The same inputs give the
 * same bytes.
 */

import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { DIST, PROJECT } from './bundle.ts';
import { buildRoot } from './root.ts';
import { tarOf } from './tar.ts';
import { epochSec, readTree, type TreeFile } from './tree.ts';
import { DEBIAN_ARCHITECTURE, NAME, VERSION } from './version.ts';

const MEDIA = 'application/vnd.oci.image';

type Files = Map<string, TreeFile>;

/** One of the archive's blobs, as descriptors name it. */
interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const plain = (bytes: Uint8Array): TreeFile => ({ bytes, isExecutable: false });
const jsonOf = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const pathOf = ({ digest }: Descriptor): string => `blobs/${digest.replace(':', '/')}`;

/** What the last stage of a Dockerfile says of its containers, as image configurations have it. */
export function containerConfig(dockerfile: string): Record<string, unknown> {
  const stage = dockerfile.slice(dockerfile.lastIndexOf('\nFROM ')).replace(/\\\n\s*/g, '');
  const line = (instruction: string): string => {
    const found = new RegExp(`^${instruction} (.*)$`, 'm').exec(stage)?.[1];
    if (found === undefined) throw new Error(`the Dockerfile's last stage has no ${instruction}`);
    return found;
  };
  const labels = [...line('LABEL').matchAll(/([\w.]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]);
  return {
    User: line('USER'),
    ExposedPorts: { [`${line('EXPOSE')}/tcp`]: {} },
    Entrypoint: JSON.parse(line('ENTRYPOINT')),
    Cmd: JSON.parse(line('CMD')),
    StopSignal: line('STOPSIGNAL'),
    Labels: Object.fromEntries(labels),
    Healthcheck: healthcheck(line('HEALTHCHECK')),
  };
}

/** Docker's own addition: others ignore it. Times are nanoseconds. */
function healthcheck(text: string): Record<string, unknown> {
  const [, options, command] = /^(.*) CMD (\[.*\])$/.exec(text) ?? [];
  if (options === undefined || command === undefined) throw new Error(`no health check: ${text}`);
  const ns = (name: string): number => Number(new RegExp(`--${name}=(\\d+)s`).exec(options)?.[1]) * 1e9;
  const times = { Interval: ns('interval'), Timeout: ns('timeout'), StartPeriod: ns('start-period') };
  return { Test: ['CMD', ...(JSON.parse(command) as string[])], ...times };
}

function addBlob(files: Files, kind: string, bytes: Uint8Array): Descriptor {
  const descriptor = { mediaType: `${MEDIA}.${kind}`, digest: `sha256:${sha256(bytes)}`, size: bytes.length };
  files.set(pathOf(descriptor), plain(bytes));
  return descriptor;
}

/** The archive of a root: an OCI image layout, and beside it the list that versions of Docker before 25 look for. */
export function ociArchive(root: string, dockerfile: string): Buffer {
  const { files: inRoot, emptyDirectories } = readTree(root);
  const layer = tarOf(inRoot, emptyDirectories);
  const files: Files = new Map();
  const created = new Date(epochSec() * 1000).toISOString();
  const layerBlob = addBlob(files, 'layer.v1.tar+gzip', gzipSync(layer, { level: 6 }));
  const image = {
    ...{ created, architecture: DEBIAN_ARCHITECTURE, os: 'linux', config: containerConfig(dockerfile) },
    rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] },
    history: [{ created, created_by: 'npm run build:oci' }],
  };
  const config = addBlob(files, 'config.v1+json', jsonOf(image));
  const manifest = { schemaVersion: 2, mediaType: `${MEDIA}.manifest.v1+json`, config, layers: [layerBlob] };
  const named = { 'org.opencontainers.image.ref.name': VERSION, 'io.containerd.image.name': `${NAME}:${VERSION}` };
  const manifestBlob = { ...addBlob(files, 'manifest.v1+json', jsonOf(manifest)), annotations: named };
  const index = { schemaVersion: 2, mediaType: `${MEDIA}.index.v1+json`, manifests: [manifestBlob] };
  const legacy = [{ Config: pathOf(config), RepoTags: [`${NAME}:${VERSION}`], Layers: [pathOf(layerBlob)] }];
  files.set('index.json', plain(jsonOf(index)));
  files.set('manifest.json', plain(jsonOf(legacy)));
  files.set('oci-layout', plain(jsonOf({ imageLayoutVersion: '1.0.0' })));
  return tarOf(files);
}

/** Builds the archive in `directory`. @returns its path. */
export async function buildOci(directory: string): Promise<string> {
  const scratch = mkdtempSync(join(tmpdir(), 'gokr-rsyncd-oci-'));
  try {
    await buildRoot(join(scratch, 'root'));
    const archive = join(directory, `${NAME}_${VERSION}_${DEBIAN_ARCHITECTURE}.oci.tar`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(archive, ociArchive(join(scratch, 'root'), readFileSync(join(PROJECT, 'Dockerfile'), 'utf8')));
    return archive;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const archive = await buildOci(resolve(process.argv[2] ?? DIST));
  const bytes = readFileSync(archive);
  process.stdout.write(`${archive}: ${(bytes.length / 1024 ** 2).toFixed(1)} MiB, sha256 ${sha256(bytes)}\n`);
}
