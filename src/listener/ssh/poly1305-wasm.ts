/**
 * The sum of Poly1305 as a WebAssembly function of 64-bit integers, assembled here from its instructions; poly1305.ts uses it.
 *
 * Numbers are five limbs of 26 bits. A product has 52 bits, and the sum of five, each up to five times as large, stays below 2^64.
 * Memory: r at 0 and the sum h at 40, each five int64; from 128 on the message, which is at most one packet.
 */

import { instantiate } from '../../assembler.ts';

const LIMBS = [0, 1, 2, 3, 4] as const;
const LIMB_BITS = 26;
const LIMB_MASK = 0x3ffffff;
const R_AT = 0;
const H_AT = 40;
const MESSAGE_AT = 128;
const MEMORY_BYTES = 65_536;
const BLOCK_BYTES = 16;

/** Limb 4 begins at bit 104: this is the bit above a full block, 2^128. */
const HIGH_BIT = 2 ** 24;

// Numbers of the function's parameters and variables.
const [END, HIGH, AT] = [0, 1, 2];
const R = 3;
/** 5 r, for products that wrap around 2^130; index 0 is not used. */
const S = 8;
const H = 13;
const D = 18;

/** Signed LEB128, as constants are written; also good for the small unsigned numbers here. */
function leb(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7) {
    const isLast = rest >= -64 && rest < 64;
    bytes.push((rest & 0x7f) | (isLast ? 0 : 0x80));
    if (isLast) return bytes;
  }
}

/** Unsigned LEB128, as sizes are written. */
function size(value: number): number[] {
  return value < 128 ? [value] : [(value & 0x7f) | 0x80, ...size(value >> 7)];
}

// One function per instruction; the arguments are the code that computes the operands.
const get = (local: number): number[] => [0x20, local];
const set = (local: number, value: number[]): number[] => [...value, 0x21, local];
const constant = (value: number): number[] => [0x42, ...leb(value)];
const binary =
  (opcode: number) =>
  (a: number[], b: number[]): number[] => [...a, ...b, opcode];
const add = binary(0x7c);
const multiply = binary(0x7e);
const and = binary(0x83);
const shiftRight = binary(0x88);
const load = (address: number[], offset: number): number[] => [...address, 0x29, 0, ...size(offset)];
const store = (offset: number, value: number[]): number[] => [0x41, 0, ...value, 0x37, 0, ...size(offset)];
const low = (value: number[]): number[] => and(value, constant(LIMB_MASK));
const above = (value: number[]): number[] => shiftRight(value, constant(LIMB_BITS));

/** h += block: the limbs begin at bits 0, 26, 52, 78 and 104. */
function addBlock(): number[] {
  const bits = (offset: number, shift: number): number[] => shiftRight(load(get(AT), offset), constant(shift));
  const parts = [low(bits(0, 0)), low(bits(0, 26)), low(bits(6, 4)), low(bits(8, 14)), add(bits(8, 40), get(HIGH))];
  return LIMBS.flatMap((i) => set(H + i, add(get(H + i), parts[i]!)));
}

/** d = h * r, limb by limb. */
function multiplyLimbs(): number[] {
  const factor = (i: number, j: number): number[] => get(j <= i ? R + i - j : S + 5 + i - j);
  return LIMBS.flatMap((i) =>
    set(
      D + i,
      LIMBS.map((j) => multiply(get(H + j), factor(i, j))).reduce((sum, product) => add(sum, product)),
    ),
  );
}

/** h = d with every limb down to 26 bits but for a rest in the second. */
function carry(): number[] {
  const up = LIMBS.slice(1).flatMap((i) => [
    ...set(D + i, add(get(D + i), above(get(D + i - 1)))),
    ...set(H + i - 1, low(get(D + i - 1))),
  ]);
  return [
    ...up,
    ...set(H + 4, low(get(D + 4))),
    ...set(H, add(get(H), multiply(above(get(D + 4)), constant(5)))),
    ...set(H + 1, add(get(H + 1), above(get(H)))),
    ...set(H, low(get(H))),
  ];
}

function functionBody(): number[] {
  const zero = [0x41, 0];
  const advance = [...get(AT), 0x41, BLOCK_BYTES, 0x6a, 0x22, AT];
  return [
    ...[2, ...[1, 0x7f], ...[20, 0x7e]], // variables: AT as i32, then R, S, H, D as i64
    ...LIMBS.flatMap((i) => set(R + i, load(zero, R_AT + 8 * i))),
    ...LIMBS.flatMap((i) => set(S + i, multiply(get(R + i), constant(5)))),
    ...LIMBS.flatMap((i) => set(H + i, load(zero, H_AT + 8 * i))),
    ...set(AT, [0x41, ...leb(MESSAGE_AT)]),
    ...[0x03, 0x40], // loop: once per block, at least once
    ...[...addBlock(), ...multiplyLimbs(), ...carry()],
    ...[...advance, ...get(END), 0x49, 0x0d, 0], // again while AT < END
    0x0b,
    ...LIMBS.flatMap((i) => store(H_AT + 8 * i, get(H + i))),
    0x0b,
  ];
}

/** The module: one function (i32 end, i64 highBit), exported as "f", and one page of memory, exported as "m". */
function assemble(): Uint8Array<ArrayBuffer> {
  const section = (id: number, content: number[]): number[] => [id, ...size(content.length), ...content];
  const body = functionBody();
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 2, 0x7f, 0x7e, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 1]),
    ...section(7, [2, 1, 0x66, 0, 0, 1, 0x6d, 2, 0]),
    ...section(10, [1, ...size(body.length), ...body]),
  ]);
}

/** The unreduced sum over all blocks of a message under a key of 32 bytes. */
export type PolySum = (key: Uint8Array, message: Uint8Array) => bigint;

interface Exports {
  readonly f: (end: number, highBit: bigint) => void;
  readonly m: { readonly buffer: ArrayBuffer };
}

/** Makes the function; null where WebAssembly is missing or forbidden. Its memory is shared: a call never waits in between. */
export function createWasmSum(): PolySum | null {
  const exports = instantiate<Exports>(assemble);
  if (exports === null) return null;
  const { f, m } = exports;
  const bytes = new Uint8Array(m.buffer);
  const numbers = new BigInt64Array(m.buffer, R_AT, 2 * LIMBS.length);
  return (key, message) => {
    numbers.set([...clampedLimbs(key), 0n, 0n, 0n, 0n, 0n]);
    const whole = message.length - (message.length % BLOCK_BYTES);
    bytes.set(message, MESSAGE_AT);
    if (whole > 0) f(MESSAGE_AT + whole, BigInt(HIGH_BIT));
    if (whole < message.length) {
      bytes.fill(0, MESSAGE_AT, MESSAGE_AT + BLOCK_BYTES);
      bytes.set(message.subarray(whole), MESSAGE_AT);
      bytes[MESSAGE_AT + message.length - whole] = 1;
      f(MESSAGE_AT + BLOCK_BYTES, 0n);
    }
    return numbers.subarray(LIMBS.length).reduceRight((sum, limb) => (sum << BigInt(LIMB_BITS)) + limb, 0n);
  };
}

/** The first half of the key with the bits cleared that RFC 8439 2.5.1 names. */
function clampedLimbs(key: Uint8Array): bigint[] {
  const view = new DataView(key.buffer, key.byteOffset, 16);
  const whole = view.getBigUint64(0, true) | (view.getBigUint64(8, true) << 64n);
  const clamped = whole & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  return LIMBS.map((i) => (clamped >> BigInt(i * LIMB_BITS)) & BigInt(LIMB_MASK));
}

/** Longest message that fits the memory. */
export const MAX_MESSAGE_BYTES = MEMORY_BYTES - MESSAGE_AT;
