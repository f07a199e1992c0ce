/** Which compression a session uses, and at which level (1-session.md 5.4, 3-transfer.md 7.2). */

import { Bug, UsageError } from '../errors.ts';
import type { RecordSink, TokenCompressor } from './compressor.ts';
import type { Limiter } from './limiter.ts';
import { type Lz4BlockFunction, Lz4Compressor } from './lz4.ts';
import { ZlibCompressor } from './zlib.ts';
import { ZstdCompressor } from './zstd.ts';

export type CompressionName = 'zstd' | 'lz4' | 'zlibx' | 'zlib' | 'none';

/** A format that is in use, and its level (without meaning for lz4). */
export interface Compression {
  readonly name: Exclude<CompressionName, 'none'>;
  readonly level: number;
}

/** What all sessions share. */
export interface CompressionTools {
  readonly limiter: Limiter;
  /** Result of `lz4BlockFunction`. */
  readonly lz4: Lz4BlockFunction | null;
}

/** All names in the order of the reference's list. */
const NAMES: readonly CompressionName[] = ['zstd', 'lz4', 'zlibx', 'zlib', 'none'];
/** SECURITY: levels are the client's wish and our time; these cost about as much as the default (security.md B-22). */
const MAX_ZLIB_LEVEL = 6;
/** Clients that name no level get this one: half the time of zlib's own default, and 1 to 7 % more output. */
const DEFAULT_ZLIB_LEVEL = 5;
const MAX_ZSTD_LEVEL = 3;
/** Library minimum. */
const MIN_ZSTD_LEVEL = -131_072;
const DEFAULT_ZSTD_LEVEL = 3;

/** Names that we offer, in the reference's order. */
export function advertisedCompressions(tools: Pick<CompressionTools, 'lz4'>): CompressionName[] {
  return NAMES.filter((name) => name !== 'lz4' || tools.lz4 !== null);
}

/** The known name that `text` means, in any case; null when it is not in `ours`. */
function lookUp(text: string, ours: readonly string[]): CompressionName | null {
  const lower = text.toLowerCase();
  const name = NAMES.find((known) => known === lower);
  return name !== undefined && ours.includes(name) ? name : null;
}

/** The first name of the client's space-separated list that is also in `ours`, the list we sent; null without overlap. */
export function chooseCompression(clientList: Buffer, ours: readonly string[]): CompressionName | null {
  for (const text of clientList.toString('latin1').split(' ')) {
    const name = lookUp(text, ours);
    if (name !== null) return name;
  }
  return null;
}

/**
 * Applies the level rule, which both sides evaluate alike once the name is known (3-transfer.md 7.2).
 * @param level of --compress-level, or null; 0 switches zlib and zlibx off but means the default for zstd.
 * @returns null for plain tokens.
 */
export function resolveCompression(name: CompressionName, level: number | null): Compression | null {
  switch (name) {
    case 'none':
      return null;
    case 'lz4':
      return { name, level: 0 };
    case 'zstd':
      return { name, level: clamp(level || DEFAULT_ZSTD_LEVEL, MIN_ZSTD_LEVEL, MAX_ZSTD_LEVEL) };
    default:
      if (level === 0) return null;
      return { name, level: level === null || level === -1 ? DEFAULT_ZLIB_LEVEL : clamp(level, 1, MAX_ZLIB_LEVEL) };
  }
}

/** @throws UsageError (code 4) for lz4 where we do not have it. */
export function requireLibrary(compression: Compression | null, { lz4 }: Pick<CompressionTools, 'lz4'>): void {
  if (compression?.name === 'lz4' && lz4 === null) throw new UsageError('unknown compress name: lz4\n');
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}

/**
 * Makes the compressor of a session; `release` it when the session ends.
 * @throws Bug for lz4 where we do not have it, which is refused earlier.
 */
export function createCompressor(
  { name, level }: Compression,
  protocol: number,
  tools: CompressionTools,
  sink: RecordSink,
): TokenCompressor {
  const { limiter, lz4 } = tools;
  switch (name) {
    case 'zstd':
      return new ZstdCompressor(sink, { level, limiter });
    case 'lz4':
      if (lz4 === null) throw new Bug('lz4 used but not loaded');
      return new Lz4Compressor(sink, lz4);
    case 'zlib':
      return new ZlibCompressor(sink, { level, limiter, historyProtocol: protocol });
    case 'zlibx':
      return new ZlibCompressor(sink, { level, limiter, historyProtocol: null });
  }
}
