/** WebAssembly digests (xxHash family, MD4 streams) in rsync's byte order; choose.ts hands them out. */

import type { IHasher } from 'hash-wasm';
import { giveBack, type WasmHash } from './pool.ts';
import { type ContentSum, STEP_BYTES } from './sums.ts';

/** Wire length of each digest in bytes. */
export const WASM_DIGEST_LENGTH: Readonly<Record<WasmHash, number>> = { md4: 16, xxh64: 8, xxh3: 8, xxh128: 16 };

/**
 * Finishes `hasher` into `out`. xxHash values travel as little-endian integers, low half first, where the library
 * returns them big-endian: the whole digest is reversed (3-transfer.md 3.5). MD4 travels as it is.
 */
export function finishInto(out: Buffer, name: WasmHash, hasher: IHasher): Buffer {
  const digest = hasher.digest('binary');
  if (name === 'md4') out.set(digest);
  else for (let i = 0, last = digest.length - 1; i <= last; i++) out[i] = digest[last - i]!;
  return out;
}

/** Running digest on a borrowed instance, optionally with bytes that always come first (old MD4 seeding). */
export class WasmContentSum implements ContentSum {
  readonly digestLength: number;
  readonly stepBytes = STEP_BYTES.slow;
  readonly #name: WasmHash;
  readonly #hasher: IHasher;
  readonly #prefix: Uint8Array;
  readonly #out: Buffer;

  constructor(name: WasmHash, hasher: IHasher, prefix: Uint8Array) {
    this.#name = name;
    this.#hasher = hasher;
    this.#prefix = prefix;
    this.digestLength = WASM_DIGEST_LENGTH[name];
    this.#out = Buffer.alloc(this.digestLength);
    this.reset();
  }

  reset(): void {
    this.#hasher.init();
    if (this.#prefix.length > 0) this.#hasher.update(this.#prefix);
  }

  update(data: Uint8Array): void {
    this.#hasher.update(data);
  }

  digest(): Buffer {
    return finishInto(this.#out, this.#name, this.#hasher);
  }

  release(): void {
    giveBack(this.#name, this.#hasher);
  }
}
