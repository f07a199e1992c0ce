/** The weak sum of blocks (rolling.ts) as WebAssembly: of 16 bytes at a time, and rolled over 8 offsets at a time. */

import {
  again,
  block,
  type Code,
  get,
  I32,
  i32,
  leaveIf,
  loop,
  repeatWhile,
  set,
  V128,
  v128,
  type WasmFunction,
  when,
} from '../assembler.ts';

/**
 * weak(data, end): the weak sum (rolling.ts). With `sum` the sum of all bytes before a group of 16, a group adds 16 times that and
 * 16, 15 … 1 times its bytes to s2.
 */
export function weak(): WasmFunction {
  const [data, end, sums, before, weighted, input, s1, s2] = [0, 1, 2, 3, 4, 5, 6, 7];
  const [lower, upper] = [v128.extendLower8(get(input)), v128.extendUpper8(get(input))];
  const total = (vector: number): Code =>
    [0, 1, 2, 3].map((lane) => v128.lane32(get(vector), lane)).reduce((sum, lane) => i32.add(sum, lane));
  const hasGroup = i32.isBelow(i32.add(get(data), i32.constant(15)), get(end));
  const hasByte = i32.isBelow(get(data), get(end));
  return {
    name: 'weak',
    parameters: [I32, I32],
    results: [I32],
    variables: [V128, V128, V128, V128, I32, I32],
    body: [
      ...when(
        hasGroup,
        repeatWhile(
          hasGroup,
          set(input, v128.load(get(data), 0)),
          set(before, v128.add32(get(before), get(sums))),
          set(
            weighted,
            v128.add32(
              v128.add32(get(weighted), v128.dot16(lower, v128.constant16([16, 15, 14, 13, 12, 11, 10, 9]))),
              v128.dot16(upper, v128.constant16([8, 7, 6, 5, 4, 3, 2, 1])),
            ),
          ),
          set(sums, v128.add32(get(sums), v128.addPairs16(v128.add16(lower, upper)))),
          set(data, i32.add(get(data), i32.constant(16))),
        ),
      ),
      ...set(s1, total(sums)),
      ...set(s2, i32.add(i32.shiftLeft(total(before), i32.constant(4)), total(weighted))),
      ...when(
        hasByte,
        repeatWhile(
          hasByte,
          set(s1, i32.add(get(s1), i32.loadByteSigned(get(data)))),
          set(s2, i32.add(get(s2), get(s1))),
          set(data, i32.add(get(data), i32.constant(1))),
        ),
      ),
      ...i32.or(i32.and(get(s1), i32.constant(0xffff)), i32.shiftLeft(get(s2), i32.constant(16))),
    ],
  };
}

/** Offsets that `skip` looks at together. */
export const GROUP = 8;
/** Where `skip` leaves the sum. */
export const SUM_AT = 0;

/** Lanes 0…7 of two vectors of 16-bit numbers, side by side as low and high halves of eight 32-bit ones. */
const FIRST_FOUR = [0, 8, 1, 9, 2, 10, 3, 11];
const LAST_FOUR = [4, 12, 5, 13, 6, 14, 7, 15];
const LAST_LANE = [7, 7, 7, 7, 7, 7, 7, 7];

/** Makes each of eight 16-bit numbers the sum of itself and those before it, and of `start`. */
function accumulateLanes(vector: number, start: number): Code {
  const zero = v128.constant16([0, 0, 0, 0, 0, 0, 0, 0]);
  const later = (by: number): Code =>
    v128.pick16(
      zero,
      get(vector),
      Array.from({ length: 8 }, (_, lane) => (lane < by ? lane : 8 + lane - by)),
    );
  return [
    ...[1, 2, 4].flatMap((by) => set(vector, v128.add16(get(vector), later(by)))),
    ...set(vector, v128.add16(get(vector), get(start))),
  ];
}

/**
 * skip(sum, data, end, length, bits, wordShift, multiplier): moves a window of `length` bytes on from `data`, where `sum` is its weak
 * sum, by groups of offsets, up to the first group with one whose bit is set in the bitmap of block-index.ts, or that does not
 * end before `end`. Gives the address reached, and stores the sum of its window at SUM_AT.
 */
export function skip(): WasmFunction {
  const [sum, data, end, length, bits, wordShift, multiplier] = [0, 1, 2, 3, 4, 5, 6];
  const [found, s1, s2, upTo1, upTo2, factor, hashes, words, laterHashes, laterWords] = [
    7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
  ];
  const hash = (lanes: readonly number[]): Code =>
    v128.multiply32(v128.pick16(get(upTo1), get(upTo2), lanes), get(factor));
  const addresses = (hashed: number): Code =>
    v128.add32(
      v128.shiftLeft32(v128.shiftRight32(get(hashed), get(wordShift)), i32.constant(2)),
      v128.splat32(get(bits)),
    );
  // The count of a shift is taken modulo 32, as in block-index.ts.
  const bit = (hashed: number, word: number, lane: number): Code =>
    i32.shiftRight(
      i32.load(v128.lane32(get(word), lane)),
      i32.shiftRight(v128.lane32(get(hashed), lane), i32.constant(8)),
    );
  const anyBit = [0, 1, 2, 3]
    .flatMap((lane) => [bit(hashes, words, lane), bit(laterHashes, laterWords, lane)])
    .reduce((either, other) => i32.or(either, other));
  return {
    name: 'skip',
    parameters: [I32, I32, I32, I32, I32, I32, I32],
    results: [I32],
    variables: [I32, V128, V128, V128, V128, V128, V128, V128, V128, V128],
    body: [
      ...set(s1, v128.splat16(get(sum))),
      ...set(s2, v128.splat16(i32.shiftRight(get(sum), i32.constant(16)))),
      ...set(factor, v128.splat32(get(multiplier))),
      ...block(
        loop(
          leaveIf(1, i32.isAbove(i32.add(get(data), i32.constant(GROUP)), get(end))),
          // What leaves the window, and for a moment in upTo1 what enters it instead.
          set(upTo2, v128.load8SignedTo16(get(data))),
          set(upTo1, v128.subtract16(v128.load8SignedTo16(i32.add(get(data), get(length))), get(upTo2))),
          accumulateLanes(upTo1, s1),
          set(upTo2, v128.subtract16(get(upTo1), v128.multiply16(get(upTo2), v128.splat16(get(length))))),
          accumulateLanes(upTo2, s2),
          set(hashes, hash(FIRST_FOUR)),
          set(laterHashes, hash(LAST_FOUR)),
          set(words, addresses(hashes)),
          set(laterWords, addresses(laterHashes)),
          set(found, anyBit),
          leaveIf(1, i32.and(get(found), i32.constant(1))),
          set(s1, v128.pick16(get(upTo1), get(upTo1), LAST_LANE)),
          set(s2, v128.pick16(get(upTo2), get(upTo2), LAST_LANE)),
          set(data, i32.add(get(data), i32.constant(GROUP))),
          again(0),
        ),
      ),
      ...i32.store(
        i32.constant(SUM_AT),
        i32.or(v128.lane16(get(s1), 0), i32.shiftLeft(v128.lane16(get(s2), 0), i32.constant(16))),
      ),
      ...get(data),
    ],
  };
}
