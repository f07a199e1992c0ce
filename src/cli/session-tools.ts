/** What sessions that transfer need to be loaded; serving.ts, once.ts and command-mode.ts ask for it. */

import type { CompressionTools } from '../compress/choose.ts';
import type { Limiter } from '../compress/limiter.ts';
import { onDemand } from '../on-demand.ts';

/** Loads checksums and compressors. */
export async function loadTools(limiter: Limiter): Promise<CompressionTools> {
  const [{ loadChecksums }, { lz4BlockFunction }] = await Promise.all([
    import('../checksum/pool.ts'),
    import('../compress/lz4.ts'),
  ]);
  await loadChecksums();
  return { limiter, lz4: lz4BlockFunction() };
}

/** Loads them when the first session asks: a greeting and a list of modules do without, and so does a daemon that nobody visits. */
export function toolsOnDemand(limiter: Limiter): () => Promise<CompressionTools> {
  return onDemand(() => loadTools(limiter));
}
