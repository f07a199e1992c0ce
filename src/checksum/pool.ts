/** Pools of WebAssembly hash instances; choose.ts borrows from them, md4.ts and xxhash.ts never create their own. */

import { createMD4, createXXHash3, createXXHash64, createXXHash128, type IHasher } from 'hash-wasm';
import { loadKernel } from './kernel.ts';

/** Algorithms that run as WebAssembly. */
export type WasmHash = 'md4' | 'xxh64' | 'xxh3' | 'xxh128';

/** Idle instances kept per algorithm: each holds about 30 KiB of memory and 8 GiB of reserved address space. */
const MAX_IDLE = 64;

const CREATORS: Readonly<Record<WasmHash, (seedLow?: number, seedHigh?: number) => Promise<IHasher>>> = {
  md4: () => createMD4(),
  xxh64: createXXHash64,
  xxh3: createXXHash3,
  xxh128: createXXHash128,
};

// Module-level state on purpose: instances carry no session data between `init` calls, and making one is asynchronous.
// A missing key means that the algorithm is not loaded.
const idle = new Map<WasmHash, IHasher[]>();

/**
 * Prepares the WebAssembly hashes; call once before the daemon serves.
 * Where there is no WebAssembly (`--jitless`) it resolves all the same and `isLoaded` stays false.
 */
export async function loadChecksums(): Promise<void> {
  if (!('WebAssembly' in globalThis)) return;
  loadKernel();
  for (const name of Object.keys(CREATORS) as WasmHash[]) {
    if (!idle.has(name)) idle.set(name, [await CREATORS[name]()]);
  }
}

/** Whether `name` can be borrowed. */
export function isLoaded(name: WasmHash): boolean {
  return idle.has(name);
}

/** An unseeded instance, not initialised; give it back with `giveBack`. */
export async function borrow(name: WasmHash): Promise<IHasher> {
  return idle.get(name)?.pop() ?? (await CREATORS[name]());
}

/** Returns an instance of `borrow`, which must not be used afterwards. */
export function giveBack(name: WasmHash, hasher: IHasher): void {
  const list = idle.get(name);
  if (list !== undefined && list.length < MAX_IDLE) list.push(hasher);
}

/**
 * A new xxHash instance whose seed is the signed 32-bit `seed` extended to 64 bits (3-transfer.md 3.5).
 * Never pooled: the library binds the seed at creation, and every session has its own.
 */
export function createSeeded(name: 'xxh64' | 'xxh3' | 'xxh128', seed: number): Promise<IHasher> {
  return CREATORS[name](seed >>> 0, seed < 0 ? 0xffffffff : 0);
}
