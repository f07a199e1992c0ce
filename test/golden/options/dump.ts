/** ServerOptions as small JSON: only what a client without options would not have, byte strings as latin1. */

import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { type ParseContext, parseServerArgs } from '../../../src/options/parse.ts';
import type { ServerOptions } from '../../../src/options/server-options.ts';

/** A daemon that has everything and refuses nothing. */
export const LENIENT: ParseContext = {
  protocol: 32,
  daemon: true,
  features: { compression: true, xattrs: true },
  refusePatterns: [],
  limits: DEFAULT_LIMITS,
};

const BARE = parseServerArgs(
  ['--server', '--sender', '.'].map((arg) => Buffer.from(arg)),
  LENIENT,
);

/** The fields that differ from those of a client that asks for nothing. */
export function dumpOptions(options: ServerOptions): Record<string, unknown> {
  const differing = Object.entries(options).filter(
    ([field, value]) => JSON.stringify(value) !== JSON.stringify(BARE[field as keyof ServerOptions]),
  );
  return Object.fromEntries(differing.map(([field, value]) => [field, plainValue(value)]));
}

function plainValue(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('latin1');
  if (value instanceof Error) return { tell: Reflect.get(value, 'tell'), exit: Reflect.get(value, 'exit') };
  if (Array.isArray(value)) return value.map(plainValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plainValue(inner)]));
}
