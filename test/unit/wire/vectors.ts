/** The vector files that the wire tests share. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

function read<T>(name: string): T {
  return JSON.parse(readFileSync(join(import.meta.dirname, '../../vectors', name), 'utf8')) as T;
}

export interface VarintVectors {
  readonly varint: readonly { value: number; hex: string }[];
  readonly varlong: readonly { min_bytes: number; value: string; hex: string }[];
  readonly longint: readonly { value: string; hex: string }[];
  readonly vstring: readonly { length: number; header_hex: string }[];
}

export interface NdxVector {
  readonly name: string;
  readonly values: readonly number[];
  readonly each_hex: readonly string[];
  readonly all_hex: string;
  readonly protocol_lt_30_hex: string;
}

export const varints = read<VarintVectors>('varints.json');
export const ndxVectors = read<{ vectors: readonly NdxVector[] }>('ndx.json').vectors;

/** True for values that a double holds exactly. */
export function isSafe(value: string): boolean {
  return Number.isSafeInteger(Number(value));
}
