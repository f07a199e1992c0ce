/**
 * The LZ4 block format as WebAssembly; lz4.ts runs it.
 *
 * A block is a row of sequences, the last without a match:
 *   token (length of the literals << 4 | length of the match - 4; 15 goes on in bytes up to the first below 255)
 *   literals   uint16 distance back to the match
 * A match begins at least 12 bytes before the end of the block's data, and the last 5 bytes are literals.
 */

import {
  again,
  againIf,
  assemble,
  block,
  type Code,
  copy,
  fill,
  get,
  I32,
  I64,
  i32,
  i64,
  leave,
  leaveIf,
  loop,
  set,
  v128,
  type WasmFunction,
  when,
} from '../assembler.ts';

/** 8192 positions of 16 bits at offset 0: where five bytes were seen last, by their hash. */
const HASH_BITS = 13;
const TABLE_BYTES = 2 ** HASH_BITS * 2;

/** Longest input. Receivers take records that decode to 32912 bytes (3-transfer.md 5.5). */
export const INPUT_BYTES = 32_768;
export const INPUT_AT = TABLE_BYTES;

/** Loads and stores of 16 bytes reach so far behind input and output. */
const SLACK_BYTES = 64;
export const OUTPUT_AT = INPUT_AT + INPUT_BYTES + SLACK_BYTES;

const PAGES = 2;

const PRIME = 0xcf1bbcdcbbn;
/** Of eight bytes that are loaded, the last three are shifted out. */
const OTHER_BITS = 24n;
const SHORTEST_MATCH = 4;
/** No search begins closer to the end than this … */
const LAST_SEARCH = 12;
/** … and no match ends closer; the last match then begins in front of the last 12 bytes. */
const LAST_LITERALS = 8;
/** Tries per step width: data without matches is passed over faster and faster. */
const TRIES_BITS = 6;
/** What a sequence needs beside literals and bytes of lengths, and the sequence that ends the block. */
const SEQUENCE_ROOM = 20;
const LONG = 15;

// Parameters and variables of the function.
const [SOURCE, END, INTO, LIMIT] = [0, 1, 2, 3];
const [
  AT,
  ANCHOR,
  CANDIDATE,
  MATCH_END,
  BEHIND,
  SLOT,
  OUT,
  SEARCH_END,
  NEXT,
  TRIES,
  LITERALS,
  LENGTH,
  STOP,
  DIFFERENCE,
] = [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17];

const number = i32.constant;
const plus = (variable: number, value: number): Code => i32.add(get(variable), number(value));
const advance = (variable: number, value: number): Code => set(variable, plus(variable, value));
const least = (a: Code, b: Code): Code => i32.select(i32.isBelow(a, b), a, b);

/** Address of the table's place for the five bytes at `address`: with four, more of what is found is no longer than that. */
const slotOf = (address: Code): Code => {
  const five = i64.shiftLeft(i64.load(address, 0), i64.constant(OTHER_BITS));
  const hash = i64.shiftRight(i64.multiply(five, i64.constant(PRIME)), i64.constant(BigInt(64 - HASH_BITS)));
  return i32.shiftLeft(i32.ofLong(hash), number(1));
};

const putByte = (value: Code): Code => [...i32.storeByte(get(OUT), value), ...advance(OUT, 1)];

/** The rest of a length of which the token holds 15; spoils `length`. */
const putLongLength = (length: number): Code =>
  when(
    i32.isAbove(get(length), number(LONG - 1)),
    advance(length, -LONG),
    block(
      loop(leaveIf(1, i32.isBelow(get(length), number(255))), putByte(number(255)), advance(length, -255), again(0)),
    ),
    putByte(get(length)),
  );

/** Looks for bytes that were there before, four at least; leaves the block one level out when there is no more room or input. */
const search: Code = [
  ...set(SEARCH_END, least(plus(END, -LAST_SEARCH), i32.add(get(ANCHOR), i32.subtract(get(LIMIT), get(OUT))))),
  ...set(NEXT, get(AT)),
  ...set(TRIES, number(1 << TRIES_BITS)),
  ...loop(
    set(AT, get(NEXT)),
    set(NEXT, i32.add(get(AT), i32.shiftRight(get(TRIES), number(TRIES_BITS)))),
    advance(TRIES, 1),
    leaveIf(2, i32.isAbove(get(NEXT), get(SEARCH_END))),
    set(SLOT, slotOf(get(AT))),
    set(CANDIDATE, i32.add(get(SOURCE), i32.load16(get(SLOT)))),
    i32.store16(get(SLOT), i32.subtract(get(AT), get(SOURCE))),
    againIf(0, i32.isNot(i32.load(get(CANDIDATE)), i32.load(get(AT)))),
  ),
];

/** Extends a match to both sides. */
const extend: Code = [
  ...block(
    loop(
      leaveIf(1, i32.notAbove(get(AT), get(ANCHOR))),
      leaveIf(1, i32.notAbove(get(CANDIDATE), get(SOURCE))),
      leaveIf(1, i32.isNot(i32.loadByte(plus(AT, -1)), i32.loadByte(plus(CANDIDATE, -1)))),
      advance(AT, -1),
      advance(CANDIDATE, -1),
      again(0),
    ),
  ),
  ...set(MATCH_END, plus(AT, SHORTEST_MATCH)),
  ...set(BEHIND, plus(CANDIDATE, SHORTEST_MATCH)),
  ...block(
    loop(
      leaveIf(1, i32.isAbove(plus(MATCH_END, 8), plus(END, -LAST_LITERALS))),
      set(DIFFERENCE, i64.xor(i64.load(get(MATCH_END), 0), i64.load(get(BEHIND), 0))),
      when(i64.isZero(get(DIFFERENCE)), advance(MATCH_END, 8), advance(BEHIND, 8), again(1)),
      set(MATCH_END, i32.add(get(MATCH_END), i32.shiftRight(i32.ofLong(i64.lowZeros(get(DIFFERENCE))), number(3)))),
    ),
  ),
];

/** Writes literals and match; leaves the block one level out when they do not fit. */
const putSequence: Code = [
  ...set(LITERALS, i32.subtract(get(AT), get(ANCHOR))),
  ...set(LENGTH, i32.subtract(get(MATCH_END), plus(AT, SHORTEST_MATCH))),
  ...set(
    STOP,
    i32.add(i32.add(get(LITERALS), i32.shiftRight(get(LITERALS), number(7))), i32.shiftRight(get(LENGTH), number(7))),
  ),
  ...when(
    i32.isAbove(i32.add(get(OUT), plus(STOP, SEQUENCE_ROOM)), get(LIMIT)),
    set(STOP, i32.select(i32.isAbove(get(AT), plus(ANCHOR, LAST_LITERALS)), get(AT), plus(ANCHOR, LAST_LITERALS))),
    leave(2),
  ),
  ...set(STOP, get(END)),
  ...putByte(i32.or(i32.shiftLeft(least(get(LITERALS), number(LONG)), number(4)), least(get(LENGTH), number(LONG)))),
  ...putLongLength(LITERALS),
  // Sixteen bytes at a time; what is too much is written over.
  ...set(NEXT, get(OUT)),
  ...set(OUT, i32.add(get(OUT), i32.subtract(get(AT), get(ANCHOR)))),
  ...block(
    loop(
      leaveIf(1, i32.notBelow(get(ANCHOR), get(AT))),
      v128.store(get(NEXT), 0, v128.load(get(ANCHOR), 0)),
      advance(NEXT, 16),
      advance(ANCHOR, 16),
      again(0),
    ),
  ),
  ...i32.store16(get(OUT), i32.subtract(get(AT), get(CANDIDATE))),
  ...advance(OUT, 2),
  ...putLongLength(LENGTH),
  ...set(ANCHOR, get(MATCH_END)),
  ...set(AT, get(MATCH_END)),
  ...i32.store16(slotOf(plus(AT, -2)), i32.subtract(plus(AT, -2), get(SOURCE))),
];

/** The sequence without a match: as much of what is left up to STOP as fits. */
const putLast: Code = [
  ...set(LENGTH, i32.subtract(get(LIMIT), get(OUT))),
  ...set(LENGTH, i32.subtract(plus(LENGTH, -2), i32.divide(get(LENGTH), number(255)))),
  ...set(LENGTH, least(get(LENGTH), i32.subtract(get(STOP), get(ANCHOR)))),
  ...set(LITERALS, get(LENGTH)),
  ...putByte(i32.shiftLeft(least(get(LITERALS), number(LONG)), number(4))),
  ...putLongLength(LITERALS),
  ...copy(get(OUT), get(ANCHOR), get(LENGTH)),
  ...set(OUT, i32.add(get(OUT), get(LENGTH))),
];

/**
 * compress(source, end, into, limit): makes one block of the input from `source` to `end`, 1 to INPUT_BYTES, or of as much of it as
 * gives a block that ends at `limit`. The result is what was taken, times 65536, plus the length of the block.
 */
function compress(): WasmFunction {
  return {
    name: 'compress',
    parameters: [I32, I32, I32, I32],
    results: [I32],
    variables: [...Array.from({ length: DIFFERENCE - AT }, () => I32), I64],
    body: [
      ...fill(number(0), number(0), number(TABLE_BYTES)),
      ...set(OUT, get(INTO)),
      ...set(ANCHOR, get(SOURCE)),
      // The empty table says that the first five bytes were seen at the beginning, as they were.
      ...set(AT, plus(SOURCE, 1)),
      ...set(STOP, get(END)),
      ...when(
        i32.isAbove(i32.subtract(get(END), get(SOURCE)), number(LAST_SEARCH)),
        loop(search, extend, putSequence, again(0)),
      ),
      ...putLast,
      ...i32.or(
        i32.shiftLeft(i32.subtract(i32.add(get(ANCHOR), get(LENGTH)), get(SOURCE)), number(16)),
        i32.subtract(get(OUT), get(INTO)),
      ),
    ],
  };
}

/** The module; its memory holds the table, the input at INPUT_AT and the block at OUTPUT_AT. */
export function assembleLz4(): Uint8Array<ArrayBuffer> {
  return assemble([compress()], PAGES);
}
