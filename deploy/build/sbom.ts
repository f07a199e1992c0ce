/** The software bill of materials of the minimal root, CycloneDX 1.6 in JSON; root.ts writes it. */

import { createHash } from 'node:crypto';

export interface Component {
  readonly type: 'application' | 'library' | 'platform';
  readonly name: string;
  readonly version: string;
  /** package URL: what vulnerability scanners look up. */
  readonly purl: string;
  /** SPDX expression, where the package says one. */
  readonly licence?: string;
  /** Files in the root that come from it, by path. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
  readonly parts?: readonly Component[];
}

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');

function toCycloneDx({ type, name, version, purl, licence, files, parts }: Component): Record<string, unknown> {
  const fileRows = Object.entries(files ?? {}).map(([path, bytes]) => ({
    type: 'file',
    name: path,
    hashes: [{ alg: 'SHA-256', content: sha256(bytes) }],
  }));
  const inside = [...(parts ?? []).map(toCycloneDx), ...fileRows];
  return {
    type,
    'bom-ref': purl,
    name,
    version,
    purl,
    ...(licence === undefined ? {} : { licenses: [{ expression: licence }] }),
    ...(inside.length === 0 ? {} : { components: inside }),
  };
}

/** A version 8 UUID (RFC 9562) of the content, so that the same inputs give the same document. */
function uuidOf(text: string): string {
  const hex = sha256(text);
  const variant = '89ab'[Number.parseInt(hex[16]!, 16) % 4];
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}

/** The document; ends with a line feed. It holds no time of its own: the same inputs give the same bytes. */
export function sbomText(product: Component, components: readonly Component[]): string {
  const content = {
    metadata: { component: toCycloneDx(product) },
    components: components.map(toCycloneDx),
    dependencies: [{ ref: product.purl, dependsOn: components.map(({ purl }) => purl) }],
  };
  const serialNumber = `urn:uuid:${uuidOf(JSON.stringify(content))}`;
  const bom = { bomFormat: 'CycloneDX', specVersion: '1.6', serialNumber, version: 1, ...content };
  return `${JSON.stringify(bom, null, 2)}\n`;
}
