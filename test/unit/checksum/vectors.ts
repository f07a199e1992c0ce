/** Shared by the checksum tests: the inputs that the vector files name. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

type Input = { hex: string } | { lcg: [number, number] };

/** Parses a file of test/vectors. */
export function readVectors<T>(name: string): T & { inputs: Record<string, Input> } {
  return JSON.parse(readFileSync(join(import.meta.dirname, '../../vectors', name), 'utf8'));
}

/** Bytes of a named input: literal hex, or the generator of the file's `input_rule`. */
export function inputBytes(input: Input): Buffer {
  if ('hex' in input) return Buffer.from(input.hex, 'hex');
  const [length, seed] = input.lcg;
  const bytes = Buffer.alloc(length);
  let state = BigInt(seed);
  for (let i = 0; i < length; i++) {
    state = (state * 1103515245n + 12345n) % 2n ** 31n;
    bytes[i] = Number((state >> 16n) & 255n);
  }
  return bytes;
}
