/** What sessions that transfer need to be loaded; serving.ts, once.ts and command-mode.ts ask for it. */

import { loadChecksums } from '../checksum/pool.ts';
import type { CompressionTools } from '../compress/choose.ts';
import type { Limiter } from '../compress/limiter.ts';
import { lz4BlockFunction } from '../compress/lz4.ts';

/** Loads checksums and compressors. */
export async function loadTools(limiter: Limiter): Promise<CompressionTools> {
  await loadChecksums();
  return { limiter, lz4: lz4BlockFunction() };
}

/** Loads them when the first session asks: a greeting and a list of modules do without, and so does a daemon that nobody visits. */
export function toolsOnDemand(limiter: Limiter): () => Promise<CompressionTools> {
  let tools: Promise<CompressionTools> | null = null;
  return () => {
    tools ??= loadTools(limiter);
    return tools;
  };
}
