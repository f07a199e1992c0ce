/** Poly1305 (RFC 8439 2.5), which node:crypto has only inside an AEAD of another layout; ciphers.ts calls it. */

import { sumPlain } from './poly1305-plain.ts';
import { createWasmSum, MAX_MESSAGE_BYTES } from './poly1305-wasm.ts';

/** Bytes of a tag. */
export const POLY1305_TAG_BYTES = 16;

const PRIME = 2n ** 130n - 5n;
const MASK_64 = 2n ** 64n - 1n;

/** WebAssembly has 64 bits for a product, JavaScript 53: five times as fast. Null where a hardened process lacks it. */
const wasmSum = createWasmSum();

/** The 16-byte tag of a message under a one-time key of 32 bytes. */
export function poly1305(key: Uint8Array, message: Uint8Array): Buffer {
  const sum = wasmSum !== null && message.length <= MAX_MESSAGE_BYTES ? wasmSum : sumPlain;
  return tagOf(sum(key, message), key);
}

/** The sum modulo the prime, plus the key's second half, modulo 2^128. */
export function tagOf(unreduced: bigint, key: Uint8Array): Buffer {
  const rest = unreduced % PRIME;
  const view = new DataView(key.buffer, key.byteOffset + 16, 16);
  const pad = view.getBigUint64(0, true) + (view.getBigUint64(8, true) << 64n);
  const tag = (rest < 0n ? rest + PRIME : rest) + pad;
  const bytes = Buffer.allocUnsafe(POLY1305_TAG_BYTES);
  bytes.writeBigUInt64LE(tag & MASK_64, 0);
  bytes.writeBigUInt64LE((tag >> 64n) & MASK_64, 8);
  return bytes;
}
