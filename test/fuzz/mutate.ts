/** Random changes to an input; the same seed gives the same ones. */

/** Numbers at which parsers break. */
const NUMBERS = [0, 1, -1, 127, 128, 255, 256, 32767, 65535, 65536, 2 ** 24 - 1, 2 ** 30, 2 ** 31 - 1, -(2 ** 31)];

/** A small generator of uniform numbers (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer from 0 to `below - 1`. */
  int(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.int(from.length)]!;
  }
}

type Mutation = (input: Buffer, random: Random, other: Buffer) => Buffer;

const splice = (input: Buffer, at: number, removed: number, added: Uint8Array): Buffer =>
  Buffer.concat([input.subarray(0, at), added, input.subarray(at + removed)]);

const MUTATIONS: readonly Mutation[] = [
  (input, random) => {
    const changed = Buffer.from(input);
    if (changed.length > 0) changed[random.int(changed.length)]! ^= 1 << random.int(8);
    return changed;
  },
  (input, random) => splice(input, random.int(input.length + 1), 1, Buffer.of(random.int(256))),
  (input, random) => splice(input, random.int(input.length + 1), 0, Buffer.alloc(1 + random.int(8), random.int(256))),
  (input, random) => splice(input, random.int(input.length + 1), 1 + random.int(16), Buffer.alloc(0)),
  (input, random) => {
    const number = Buffer.alloc(4);
    number.writeInt32LE(random.pick(NUMBERS));
    return splice(input, random.int(input.length + 1), random.pick([0, 4]), number);
  },
  (input, random) => {
    const from = random.int(input.length + 1);
    const piece = input.subarray(from, from + 1 + random.int(32));
    const times = 1 + random.int(random.pick([2, 2, 200]));
    return splice(input, random.int(input.length + 1), 0, Buffer.concat(Array<Buffer>(times).fill(piece)));
  },
  (input, random, other) => {
    const at = random.int(other.length + 1);
    return splice(input, random.int(input.length + 1), random.int(16), other.subarray(at, at + 1 + random.int(64)));
  },
  (input, random, other) =>
    Buffer.concat([input.subarray(0, random.int(input.length + 1)), other.subarray(random.int(other.length + 1))]),
];

/** Longest input: above it, time goes into copying. */
const MAX_BYTES = 16_384;

/** One to four changes. @param other a second input, for pieces of it. */
export function mutate(input: Buffer, other: Buffer, random: Random): Buffer {
  let changed = input;
  for (let left = 1 + random.int(4); left > 0; left--) changed = random.pick(MUTATIONS)(changed, random, other);
  return changed.subarray(0, MAX_BYTES);
}
