/** Runs kernel-code.ts and weak-code.ts: one instance for each thread, whose memory is the arena; xxh3.ts and rolling.ts call it. */

import { arena } from '../arena.ts';
import { instantiate } from '../assembler.ts';
import { Bug } from '../errors.ts';
import { assembleKernel } from './kernel-code.ts';

/** Memory in 64 KiB pages, 32 MiB; pages that nobody has touched are none. */
const PAGES = 512;

/** Data that lies elsewhere is copied to offset 0, in parts of this size. */
export const SCRATCH_BYTES = 128 * 1024;

/** The functions of kernel-code.ts and weak-code.ts, and the memory that they work in; `data`, `end`, `state` and `bits` are offsets in it. */
export interface Kernel {
  readonly bytes: Buffer;
  /** The same memory. */
  readonly words: Int32Array;
  readonly blocks: (state: number, data: number, end: number) => void;
  readonly finish: (state: number, data: number, end: number, total: number) => void;
  readonly weak: (data: number, end: number) => number;
  readonly skip: (
    ...window: [
      sum: number,
      data: number,
      end: number,
      length: number,
      bits: number,
      wordShift: number,
      multiplier: number,
    ]
  ) => number;
}

type Exports = Omit<Kernel, 'bytes' | 'words'> & { memory: { buffer: ArrayBuffer } };

// Module-level on purpose: nothing in it outlives a call but what the arena lends.
const loaded: { kernel: Kernel | null } = { kernel: null };

/** Makes the instance; call once before the daemon serves. Without WebAssembly nothing happens. */
export function loadKernel(): void {
  if (loaded.kernel !== null) return;
  const exports = instantiate<Exports>(() => assembleKernel(PAGES));
  if (exports === null) return;
  const { memory, ...functions } = exports;
  loaded.kernel = { ...functions, bytes: Buffer.from(memory.buffer), words: new Int32Array(memory.buffer) };
  arena.open(memory.buffer, SCRATCH_BYTES);
}

/** Null before `loadKernel` and without WebAssembly. */
export function kernel(): Kernel | null {
  return loaded.kernel;
}

/**
 * Where data lies in the kernel's memory: where it is, or in the scratch space, which it is copied to.
 * @param data at most SCRATCH_BYTES when it lies elsewhere.
 */
export function placeInKernel({ bytes }: Kernel, data: Uint8Array): number {
  if (arena.holds(data)) return data.byteOffset;
  if (data.length > SCRATCH_BYTES) throw new Bug('more data than the scratch space holds');
  bytes.set(data, 0);
  return 0;
}
