/**
 * XXH3 of long inputs, 16 bytes at a time, as WebAssembly, in one module with the weak sum (weak-code.ts); kernel.ts runs it. The
 * algorithm is that of the xxHash specification, its names are used here.
 *
 * A state in memory: 8 accumulators of 64 bits at 0, the secret of 192 bytes at 64, the digest of 16 bytes at 256.
 */

import {
  assemble,
  type Code,
  call,
  F64,
  get,
  I32,
  I64,
  i32,
  i64,
  repeatWhile,
  set,
  V128,
  v128,
  type WasmFunction,
  when,
} from '../assembler.ts';
import { skip, weak } from './weak-code.ts';

export const SECRET_AT = 64;
export const SECRET_BYTES = 192;
export const DIGEST_AT = 256;
/** Bytes of a state. */
export const STATE_BYTES = 272;
/** A block is what the secret suffices for; the accumulators are scrambled behind it. */
export const BLOCK_BYTES = 1024;

const STRIPE_BYTES = 64;
const STRIPES_PER_BLOCK = BLOCK_BYTES / STRIPE_BYTES;
/** The secret moves on by so much with each stripe. */
const SECRET_STEP = 8;
/** Where in the secret the last stripe, the two halves of the digest, and the scrambling begin. */
const LAST_STRIPE_SECRET = SECRET_BYTES - STRIPE_BYTES - 7;
const LOW_SECRET = 11;
const HIGH_SECRET = SECRET_BYTES - STRIPE_BYTES - 11;
const SCRAMBLE_SECRET = SECRET_BYTES - STRIPE_BYTES;

export const PRIME32 = [0x9e3779b1n, 0x85ebca77n, 0xc2b2ae3dn] as const;
export const PRIME64 = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
] as const;
const AVALANCHE = 0x165667919e3779f9n;

const PAIRS = [0, 1, 2, 3] as const;
const LOW_32 = i64.constant(0xffffffffn);
const by = i64.constant;

/** Loads the accumulators of the state into four variables of two each. */
const loadAccumulators = (state: Code, first: number): Code =>
  PAIRS.flatMap((i) => set(first + i, v128.load(state, 16 * i)));

const storeAccumulators = (state: Code, first: number): Code =>
  PAIRS.flatMap((i) => v128.store(state, 16 * i, get(first + i)));

/**
 * Adds 64 bytes: to each accumulator the product of the two halves of its input, mixed with the secret, and the input of its
 * neighbour. `key` is a variable for what is multiplied, `input` one for the input.
 */
function accumulate(at: { data: Code; offset: number; secret: Code; key: number; input: number }, first: number): Code {
  return PAIRS.flatMap((i) => [
    ...set(at.input, v128.load(at.data, at.offset * STRIPE_BYTES + 16 * i)),
    ...set(at.key, v128.xor(get(at.input), v128.load(at.secret, at.offset * SECRET_STEP + 16 * i))),
    ...set(
      first + i,
      v128.add64(
        v128.add64(get(first + i), v128.pick32(get(at.input), [2, 3, 0, 1])),
        v128.productsOfLower32(v128.pick32(get(at.key), [0, 2, 0, 2]), v128.pick32(get(at.key), [1, 3, 1, 3])),
      ),
    ),
  ]);
}

/** Behind a block. */
function scramble(state: Code, first: number): Code {
  return PAIRS.flatMap((i) => {
    const mixed = v128.xor(get(first + i), v128.shiftRight64(get(first + i), i32.constant(47)));
    const keyed = v128.xor(mixed, v128.load(state, SECRET_AT + SCRAMBLE_SECRET + 16 * i));
    return set(first + i, v128.multiply64(keyed, v128.splat64(by(PRIME32[0]))));
  });
}

/** blocks(state, data, end): adds whole blocks, at least one. */
function blocks(): WasmFunction {
  const [state, data, end, input, key, first] = [0, 1, 2, 3, 4, 5];
  const stripes = Array.from({ length: STRIPES_PER_BLOCK }, (_, offset) =>
    accumulate({ data: get(data), offset, secret: i32.add(get(state), i32.constant(SECRET_AT)), key, input }, first),
  );
  return {
    name: 'blocks',
    parameters: [I32, I32, I32],
    results: [],
    variables: [V128, V128, V128, V128, V128, V128],
    body: [
      ...loadAccumulators(get(state), first),
      ...repeatWhile(
        i32.isBelow(get(data), get(end)),
        ...stripes,
        scramble(get(state), first),
        set(data, i32.add(get(data), i32.constant(BLOCK_BYTES))),
      ),
      ...storeAccumulators(get(state), first),
    ],
  };
}

/** fold(a, b): the 128-bit product of two numbers, its halves combined by exclusive or. */
function fold(): WasmFunction {
  const [a, b, lowLow, highLow, cross] = [0, 1, 2, 3, 4];
  const low = (value: Code): Code => i64.and(value, LOW_32);
  const high = (value: Code): Code => i64.shiftRight(value, by(32n));
  return {
    name: 'fold',
    parameters: [I64, I64],
    results: [I64],
    variables: [I64, I64, I64],
    body: [
      ...set(lowLow, i64.multiply(low(get(a)), low(get(b)))),
      ...set(highLow, i64.multiply(high(get(a)), low(get(b)))),
      ...set(cross, i64.add(i64.add(high(get(lowLow)), low(get(highLow))), i64.multiply(low(get(a)), high(get(b))))),
      ...i64.xor(
        i64.add(i64.add(high(get(highLow)), high(get(cross))), i64.multiply(high(get(a)), high(get(b)))),
        i64.multiply(get(a), get(b)),
      ),
    ],
  };
}

const FOLD = 1;

/** merge(state, secret, start): one half of the digest from the accumulators. `secret` is an address. */
function merge(): WasmFunction {
  const [state, secret, result] = [0, 1, 2];
  const mixed = (i: number): Code => i64.xor(i64.load(get(state), 8 * i), i64.load(get(secret), 8 * i));
  return {
    name: 'merge',
    parameters: [I32, I32, I64],
    results: [I64],
    variables: [],
    body: [
      ...PAIRS.flatMap((i) => set(result, i64.add(get(result), call(FOLD, mixed(2 * i), mixed(2 * i + 1))))),
      ...set(result, i64.multiply(i64.xor(get(result), i64.shiftRight(get(result), by(37n))), by(AVALANCHE))),
      ...i64.xor(get(result), i64.shiftRight(get(result), by(32n))),
    ],
  };
}

const MERGE = 2;

/**
 * finish(state, data, end, total): adds the last 1 to 1024 bytes and writes the digest. The 64 bytes that end at `end` belong to
 * the input, whether or not all of them lie behind `data`.
 */
function finish(): WasmFunction {
  const [state, data, end, total, secret, input, key, first, length] = [0, 1, 2, 3, 4, 5, 6, 7, 11];
  const lastStripe = i32.subtract(get(end), i32.constant(STRIPE_BYTES));
  const secretAt = (offset: number): Code => i32.add(get(state), i32.constant(SECRET_AT + offset));
  const half = (offset: number, start: Code): Code => call(MERGE, get(state), secretAt(offset), start);
  // What is left is more than a stripe: the last one, whole or not, is added on its own.
  const isMoreThanStripe = i32.isBelow(i32.add(get(data), i32.constant(STRIPE_BYTES)), get(end));
  return {
    name: 'finish',
    parameters: [I32, I32, I32, F64],
    results: [],
    variables: [I32, V128, V128, V128, V128, V128, V128, I64],
    body: [
      ...loadAccumulators(get(state), first),
      ...set(secret, secretAt(0)),
      ...when(
        isMoreThanStripe,
        repeatWhile(
          isMoreThanStripe,
          accumulate({ data: get(data), offset: 0, secret: get(secret), key, input }, first),
          set(data, i32.add(get(data), i32.constant(STRIPE_BYTES))),
          set(secret, i32.add(get(secret), i32.constant(SECRET_STEP))),
        ),
      ),
      ...accumulate({ data: lastStripe, offset: 0, secret: secretAt(LAST_STRIPE_SECRET), key, input }, first),
      ...storeAccumulators(get(state), first),
      ...set(length, i64.ofFloat(get(total))),
      ...i64.store(get(state), DIGEST_AT, half(LOW_SECRET, i64.multiply(get(length), by(PRIME64[0])))),
      ...i64.store(
        get(state),
        DIGEST_AT + 8,
        half(HIGH_SECRET, i64.xor(i64.multiply(get(length), by(PRIME64[1])), by(-1n))),
      ),
    ],
  };
}

/** The module. `fold` and `merge` stand where FOLD and MERGE say. @param pages of memory, 64 KiB each. */
export function assembleKernel(pages: number): Uint8Array<ArrayBuffer> {
  return assemble([blocks(), fold(), merge(), finish(), weak(), skip()], pages);
}
