/**
 * WebAssembly instructions as functions, each of which gives the bytes of an expression; checksum/kernel-code.ts and
 * compress/lz4-code.ts are written in them. `instantiate` runs a module.
 * The arguments of an instruction are the code that computes its operands.
 */

/** Bytes of code. */
export type Code = readonly number[];

/** Signed LEB128, as constants are written. */
export function leb(value: number | bigint): number[] {
  const bytes: number[] = [];
  for (let rest = BigInt(value); ; rest >>= 7n) {
    const isLast = rest >= -64n && rest < 64n;
    bytes.push(Number(rest & 0x7fn) | (isLast ? 0 : 0x80));
    if (isLast) return bytes;
  }
}

/** Unsigned LEB128, as sizes and numbers of instructions are written. */
export function size(value: number): number[] {
  return value < 128 ? [value] : [(value & 0x7f) | 0x80, ...size(value >>> 7)];
}

type Unary = (a: Code) => Code;
type Binary = (a: Code, b: Code) => Code;

const unary =
  (...opcode: number[]): Unary =>
  (a) => [...a, ...opcode];
const binary =
  (...opcode: number[]): Binary =>
  (a, b) => [...a, ...b, ...opcode];
const vector = (number: number): number[] => [0xfd, ...size(number)];

// Types of parameters, results and variables.
export const I32 = 0x7f;
export const I64 = 0x7e;
export const F64 = 0x7c;
export const V128 = 0x7b;

export const get = (local: number): Code => [0x20, local];
export const set = (local: number, value: Code): Code => [...value, 0x21, local];
export const call = (number: number, ...args: Code[]): Code => [...args.flat(), 0x10, number];

export const i32 = {
  constant: (value: number): Code => [0x41, ...leb(value)],
  add: binary(0x6a),
  subtract: binary(0x6b),
  multiply: binary(0x6c),
  and: binary(0x71),
  or: binary(0x72),
  shiftLeft: binary(0x74),
  shiftRight: binary(0x76),
  isNot: binary(0x47),
  isBelow: binary(0x49),
  isAbove: binary(0x4b),
  notAbove: binary(0x4d),
  notBelow: binary(0x4f),
  divide: binary(0x6e),
  ofLong: unary(0xa7),
  load: (address: Code): Code => [...address, 0x28, 0, 0],
  store: (address: Code, value: Code): Code => [...address, ...value, 0x36, 0, 0],
  load16: (address: Code): Code => [...address, 0x2f, 0, 0],
  loadByte: (address: Code): Code => [...address, 0x2d, 0, 0],
  store16: (address: Code, value: Code): Code => [...address, ...value, 0x3b, 0, 0],
  storeByte: (address: Code, value: Code): Code => [...address, ...value, 0x3a, 0, 0],
  /** The first where `condition` is true, else the second. */
  select: (condition: Code, first: Code, second: Code): Code => [...first, ...second, ...condition, 0x1b],
  loadByteSigned: (address: Code): Code => [...address, 0x2c, 0, 0],
};

export const i64 = {
  constant: (value: bigint): Code => [0x42, ...leb(BigInt.asIntN(64, value))],
  add: binary(0x7c),
  multiply: binary(0x7e),
  and: binary(0x83),
  xor: binary(0x85),
  shiftLeft: binary(0x86),
  shiftRight: binary(0x88),
  ofFloat: unary(0xb1),
  isZero: unary(0x50),
  lowZeros: unary(0x7a),
  load: (address: Code, offset: number): Code => [...address, 0x29, 0, ...size(offset)],
  store: (address: Code, offset: number, value: Code): Code => [...address, ...value, 0x37, 0, ...size(offset)],
};

export const v128 = {
  load: (address: Code, offset: number): Code => [...address, ...vector(0), 0, ...size(offset)],
  store: (address: Code, offset: number, value: Code): Code => [
    ...address,
    ...value,
    ...vector(11),
    0,
    ...size(offset),
  ],
  /** Eight numbers of 16 bits. */
  constant16: (values: readonly number[]): Code => [
    ...vector(12),
    ...values.flatMap((value) => [value & 0xff, (value >> 8) & 0xff]),
  ],
  /** Takes 16-bit lanes by their numbers: those of `b` follow those of `a`. */
  pick16: (a: Code, b: Code, lanes: readonly number[]): Code => [
    ...a,
    ...b,
    ...vector(13),
    ...lanes.flatMap((lane) => [2 * lane, 2 * lane + 1]),
  ],
  /** Takes 32-bit lanes of `a` by their numbers. */
  pick32: (a: Code, lanes: readonly number[]): Code => [
    ...a,
    ...a,
    ...vector(13),
    ...lanes.flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]),
  ],
  /** Eight bytes of memory as signed numbers of 16 bits. */
  load8SignedTo16: (address: Code): Code => [...address, ...vector(1), 0, 0],
  xor: binary(...vector(81)),
  lane16: (a: Code, lane: number): Code => [...a, ...vector(25), lane],
  lane32: (a: Code, lane: number): Code => [...a, ...vector(27), lane],
  splat16: unary(...vector(16)),
  splat32: unary(...vector(17)),
  splat64: unary(...vector(18)),
  add16: binary(...vector(142)),
  add32: binary(...vector(174)),
  add64: binary(...vector(206)),
  subtract16: binary(...vector(145)),
  multiply16: binary(...vector(149)),
  multiply32: binary(...vector(181)),
  multiply64: binary(...vector(213)),
  shiftLeft32: binary(...vector(171)),
  shiftRight32: binary(...vector(173)),
  shiftRight64: binary(...vector(205)),
  /** Products of the two lower 32-bit lanes, as unsigned 64-bit numbers. */
  productsOfLower32: binary(...vector(222)),
  extendLower8: unary(...vector(135)),
  extendUpper8: unary(...vector(136)),
  /** Sums of neighbours, as 32-bit numbers. */
  addPairs16: unary(...vector(126)),
  /** Sums of the products of neighbours, as 32-bit numbers. */
  dot16: binary(...vector(186)),
};

/** Runs `body` again and again as long as `condition` is true behind it; at least once. */
export const repeatWhile = (condition: Code, ...body: Code[]): Code => [
  ...[0x03, 0x40],
  ...body.flat(),
  ...[...condition, 0x0d, 0],
  0x0b,
];

/** `body` with a label behind it, which a `leave` in it goes to. */
export const block = (...body: Code[]): Code => [0x02, 0x40, ...body.flat(), 0x0b];

/** `body` with a label in front of it, which an `again` in it goes to. */
export const loop = (...body: Code[]): Code => [0x03, 0x40, ...body.flat(), 0x0b];

/** Goes to the label of a block that is so many levels outwards; `when` counts as one. */
export const leave = (level: number): Code => [0x0c, level];

export const leaveIf = (level: number, condition: Code): Code => [...condition, 0x0d, level];

/** As `leave`, for the label of a loop. */
export const again = leave;

export const againIf = leaveIf;

export const fill = (address: Code, value: Code, length: Code): Code => [...address, ...value, ...length, 0xfc, 11, 0];

export const copy = (to: Code, from: Code, length: Code): Code => [...to, ...from, ...length, 0xfc, 10, 0, 0];

export const when = (condition: Code, ...body: Code[]): Code => [...condition, 0x04, 0x40, ...body.flat(), 0x0b];

/** A function of a module; the numbers of its variables follow those of its parameters. */
export interface WasmFunction {
  /** Exported under this name. */
  readonly name: string;
  readonly parameters: readonly number[];
  readonly results: readonly number[];
  readonly variables: readonly number[];
  readonly body: Code;
}

/** A module with these functions, each of a type of its own, and a memory of `pages` pages, exported as "memory". */
export function assemble(functions: readonly WasmFunction[], pages: number): Uint8Array<ArrayBuffer> {
  const list = (items: readonly Code[]): number[] => [...size(items.length), ...items.flat()];
  const section = (id: number, content: Code): number[] => [id, ...size(content.length), ...content];
  const text = (name: string): number[] => list([...Buffer.from(name)].map((byte) => [byte]));
  const bodies = functions.map(({ variables, body }) => {
    const code = [...list(variables.map((type) => [1, type])), ...body, 0x0b];
    return [...size(code.length), ...code];
  });
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(
      1,
      list(
        functions.map(({ parameters, results }) => [
          0x60,
          ...list(parameters.map((type) => [type])),
          ...list(results.map((type) => [type])),
        ]),
      ),
    ),
    ...section(3, list(functions.map((_, index) => size(index)))),
    ...section(5, [1, 1, ...size(pages), ...size(pages)]),
    ...section(
      7,
      list([[...text('memory'), 2, 0], ...functions.map(({ name }, index) => [...text(name), 0, ...size(index)])]),
    ),
    ...section(10, list(bodies)),
  ]);
}

/** The little of the WebAssembly interface that is used here; Node's types do not have it. */
interface WasmApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: object };
}

/** What a module exports, in an instance of its own; null without WebAssembly (`--jitless`). */
export function instantiate<Exports extends object>(module: () => Uint8Array): Exports | null {
  const api = (globalThis as { WebAssembly?: WasmApi }).WebAssembly;
  return api === undefined ? null : (new api.Instance(new api.Module(module())).exports as Exports);
}
