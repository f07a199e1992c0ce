/** Memory for encrypted channel data, shared by all SSH connections; packet.ts fills it. */

/** One write of the session (a chunk of four 32 KiB tokens) with the overhead of its packets. */
export const OUTPUT_BYTES = 144 * 1024;

/** Buffers kept for reuse: 4.5 MiB. */
const POOL_SIZE = 32;

// Module-level on purpose: the pool keeps memory flat over all connections of the process.
const pool: Buffer[] = [];

/** A buffer of OUTPUT_BYTES; it may hold old bytes of another connection. */
export function acquireOutput(): Buffer {
  return pool.pop() ?? Buffer.allocUnsafeSlow(OUTPUT_BYTES);
}

/** Returns a buffer whose bytes nobody reads any more. */
export function releaseOutput(buffer: Buffer): void {
  if (pool.length < POOL_SIZE) pool.push(buffer);
}
