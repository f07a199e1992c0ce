/** XXH3 with 64 and 128 bits on the kernel, in the byte order of the wire; acquire.ts hands it out. Short inputs are hash-wasm's. */

import type { IHasher } from 'hash-wasm';
import { arena } from '../arena.ts';
import { type Kernel, placeInKernel, SCRATCH_BYTES } from './kernel.ts';
import { BLOCK_BYTES, DIGEST_AT, PRIME32, PRIME64, SECRET_AT, SECRET_BYTES, STATE_BYTES } from './kernel-code.ts';
import { giveBack } from './pool.ts';
import { type ContentSum, STEP_BYTES } from './sums.ts';
import { finishInto, WASM_DIGEST_LENGTH } from './xxhash.ts';

/** The two of the family that work alike on long inputs. */
export type Xxh3Name = 'xxh3' | 'xxh128';

/** Inputs up to this length have algorithms of their own. */
const SHORT_BYTES = 240;

/** Bytes in front of those that wait, which the last stripe may reach back to. */
const BEFORE_BYTES = 64;

/** In a piece of memory: the state, what went before, and what waits. */
const WAITING_AT = Math.ceil(STATE_BYTES / 64) * 64 + BEFORE_BYTES;
const PIECE_BYTES = WAITING_AT + BLOCK_BYTES;

/** States at a time: three for each of 512 sessions, 2 MiB. */
const MOST_STATES = 1536;

const ACCUMULATORS = BigUint64Array.of(
  ...[PRIME32[2], PRIME64[0], PRIME64[1], PRIME64[2], PRIME64[3], PRIME32[1], PRIME64[4], PRIME32[0]],
);

const SECRET = Buffer.from(
  `b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221
   b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8
   a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb
   170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e`.replace(/\s/g, ''),
  'hex',
);

/** The state of one sum, in memory of the kernel. */
export class Xxh3State {
  readonly at: number;
  readonly #kernel: Kernel;
  readonly #piece: Buffer;
  readonly #accumulators: BigUint64Array;

  private constructor(kernel: Kernel, piece: Buffer, seed: bigint) {
    this.at = piece.byteOffset;
    this.#kernel = kernel;
    this.#piece = piece;
    this.#accumulators = new BigUint64Array(piece.buffer, piece.byteOffset, ACCUMULATORS.length);
    for (let i = 0; i < SECRET_BYTES; i += 16) {
      piece.writeBigUInt64LE(BigInt.asUintN(64, SECRET.readBigUInt64LE(i) + seed), SECRET_AT + i);
      piece.writeBigUInt64LE(BigInt.asUintN(64, SECRET.readBigUInt64LE(i + 8) - seed), SECRET_AT + i + 8);
    }
  }

  /** @returns null when there is no memory for it. */
  static make(kernel: Kernel, seed: bigint): Xxh3State | null {
    const piece = arena.lend(PIECE_BYTES, MOST_STATES);
    return piece === null ? null : new Xxh3State(kernel, piece, seed);
  }

  start(): void {
    this.#accumulators.set(ACCUMULATORS);
  }

  /** Adds the end of the input, as `finish` of the kernel has it, and copies the digest. */
  finish(into: Buffer, data: number, end: number, total: number): Buffer {
    this.#kernel.finish(this.at, data, end, total);
    into.set(this.#piece.subarray(DIGEST_AT, DIGEST_AT + into.length));
    return into;
  }

  release(): void {
    arena.giveBack(this.#piece);
  }
}

/** Running digest. The last block always waits, for only the end shows whether it is one. */
export class Xxh3ContentSum implements ContentSum {
  readonly digestLength: number;
  readonly stepBytes = STEP_BYTES.fast;
  readonly #name: Xxh3Name;
  readonly #kernel: Kernel;
  readonly #state: Xxh3State;
  readonly #short: IHasher;
  readonly #out: Buffer;
  readonly #waitingAt: number;
  #waiting = 0;
  #total = 0;
  #isStarted = false;

  /** @param short a borrowed instance, which release() gives back. */
  constructor(name: Xxh3Name, kernel: Kernel, state: Xxh3State, short: IHasher) {
    this.#name = name;
    this.#kernel = kernel;
    this.#state = state;
    this.#short = short;
    this.#waitingAt = state.at + WAITING_AT;
    this.digestLength = WASM_DIGEST_LENGTH[name];
    this.#out = Buffer.alloc(this.digestLength);
  }

  reset(): void {
    this.#waiting = 0;
    this.#total = 0;
    this.#isStarted = false;
  }

  update(data: Uint8Array): void {
    if (this.#waiting + data.length <= BLOCK_BYTES) {
      this.#kernel.bytes.set(data, this.#waitingAt + this.#waiting);
      this.#waiting += data.length;
      this.#total += data.length;
    } else if (arena.holds(data)) this.#add(data.byteOffset, data.length);
    else {
      for (let done = 0; done < data.length; done += SCRATCH_BYTES) {
        const part = data.subarray(done, done + SCRATCH_BYTES);
        this.#add(placeInKernel(this.#kernel, part), part.length);
      }
    }
  }

  digest(): Buffer {
    const end = this.#waitingAt + this.#waiting;
    if (this.#total > SHORT_BYTES) {
      this.#start();
      return this.#state.finish(this.#out, this.#waitingAt, end, this.#total);
    }
    this.#short.init();
    this.#short.update(this.#kernel.bytes.subarray(this.#waitingAt, end));
    return finishInto(this.#out, this.#name, this.#short);
  }

  release(): void {
    this.#state.release();
    giveBack(this.#name, this.#short);
  }

  #start(): void {
    if (!this.#isStarted) this.#state.start();
    this.#isStarted = true;
  }

  /** Adds bytes that lie in the kernel's memory. */
  #add(at: number, length: number): void {
    const { bytes, blocks } = this.#kernel;
    const waitingAt = this.#waitingAt;
    const end = at + length;
    this.#total += length;
    let from = at;
    if (this.#waiting > 0) {
      from = Math.min(end, at + BLOCK_BYTES - this.#waiting);
      bytes.copyWithin(waitingAt + this.#waiting, at, from);
      this.#waiting += from - at;
      if (from === end) return;
      this.#start();
      blocks(this.#state.at, waitingAt, waitingAt + BLOCK_BYTES);
      bytes.copyWithin(waitingAt - BEFORE_BYTES, waitingAt + BLOCK_BYTES - BEFORE_BYTES, waitingAt + BLOCK_BYTES);
    }
    const whole = Math.floor((end - from - 1) / BLOCK_BYTES) * BLOCK_BYTES;
    if (whole > 0) {
      this.#start();
      blocks(this.#state.at, from, from + whole);
      from += whole;
      bytes.copyWithin(waitingAt - BEFORE_BYTES, from - BEFORE_BYTES, from);
    }
    bytes.copyWithin(waitingAt, from, end);
    this.#waiting = end - from;
  }
}

/** Sums of blocks, each on its own. */
export class Xxh3BlockSum {
  readonly #name: Xxh3Name;
  readonly #kernel: Kernel;
  readonly #state: Xxh3State;
  readonly #short: IHasher;
  readonly #out: Buffer;

  /** @param short of the same seed as the state; also for blocks that do not fit the scratch space. */
  constructor(name: Xxh3Name, kernel: Kernel, state: Xxh3State, short: IHasher) {
    this.#name = name;
    this.#kernel = kernel;
    this.#state = state;
    this.#short = short;
    this.#out = Buffer.alloc(WASM_DIGEST_LENGTH[name]);
  }

  /** The buffer is valid until the next call. */
  sum(block: Uint8Array): Buffer {
    const { length } = block;
    if (length <= SHORT_BYTES || (length > SCRATCH_BYTES && !arena.holds(block))) {
      this.#short.init();
      this.#short.update(block);
      return finishInto(this.#out, this.#name, this.#short);
    }
    const at = placeInKernel(this.#kernel, block);
    const whole = Math.floor((length - 1) / BLOCK_BYTES) * BLOCK_BYTES;
    this.#state.start();
    if (whole > 0) this.#kernel.blocks(this.#state.at, at, at + whole);
    return this.#state.finish(this.#out, at + whole, at + length, length);
  }

  release(): void {
    this.#state.release();
  }
}
