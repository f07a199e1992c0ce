/**
 * The sum of Poly1305 in plain JavaScript; poly1305.ts uses it where there is no WebAssembly.
 *
 * A number is the sum of six doubles; the one at place i is a multiple of 2^(22 i) with about 22 significant bits. A product of two has
 * at most 50 significant bits and the sum of six such products stays below 53, so every step is exact, and doubles
 * need no masks. Integers of 13 bits, the other way to do it without BigInt, need three times as many multiplications.
 */

const BLOCK_BYTES = 16;
const LIMB_MASK = 0x3fffff;

/** Weights of the limbs. */
const W1 = 2 ** 22;
const W2 = 2 ** 44;
const W3 = 2 ** 66;
const W4 = 2 ** 88;
const W5 = 2 ** 110;
/** 2^130 is 5 modulo the prime: what lies above 2^132 comes back with this factor. */
const WRAP = 5 * 2 ** -130;
/** The bit above a full block. */
const HIGH_BIT = 2 ** 128;

/** Adding and subtracting 1.5 * 2^(52 + k) rounds a double to a multiple of 2^k. */
const ROUND_22 = 1.5 * 2 ** 74;
const ROUND_44 = 1.5 * 2 ** 96;
const ROUND_66 = 1.5 * 2 ** 118;
const ROUND_88 = 1.5 * 2 ** 140;
const ROUND_110 = 1.5 * 2 ** 162;
const ROUND_132 = 1.5 * 2 ** 184;

type Limbs = [number, number, number, number, number, number];

/**
 * The sum over all blocks of a message, below 2^132 and not reduced; a key has 32 bytes.
 *
 * SECURITY: no branch and no index depends on the key or the message.
 */
export function sumPlain(key: Uint8Array, message: Uint8Array): bigint {
  const r = clampedLimbs(key);
  const sum: Limbs = [0, 0, 0, 0, 0, 0];
  const whole = message.length - (message.length % BLOCK_BYTES);
  absorb(sum, r, message.subarray(0, whole), HIGH_BIT);
  if (whole < message.length) {
    const last = new Uint8Array(BLOCK_BYTES);
    last.set(message.subarray(whole));
    last[message.length - whole] = 1;
    absorb(sum, r, last, 0);
  }
  // Rounding to the nearest leaves limbs of both signs.
  return sum.reduce((total, limb) => total + BigInt(limb), 0n);
}

function clampedLimbs(key: Uint8Array): Limbs {
  const view = new DataView(key.buffer, key.byteOffset, 16);
  const t0 = view.getUint32(0, true) & 0x0fffffff;
  const t1 = view.getUint32(4, true) & 0x0ffffffc;
  const t2 = view.getUint32(8, true) & 0x0ffffffc;
  const t3 = view.getUint32(12, true) & 0x0ffffffc;
  return [
    t0 & LIMB_MASK,
    (((t0 >>> 22) | (t1 << 10)) & LIMB_MASK) * W1,
    (((t1 >>> 12) | (t2 << 20)) & LIMB_MASK) * W2,
    ((t2 >>> 2) & LIMB_MASK) * W3,
    (((t2 >>> 24) | (t3 << 8)) & LIMB_MASK) * W4,
    (t3 >>> 14) * W5,
  ];
}

/** sum = (sum + block) * r for each block. One long loop over local numbers, so that they stay in registers. */
function absorb(sum: Limbs, r: Limbs, blocks: Uint8Array, highBit: number): void {
  const view = new DataView(blocks.buffer, blocks.byteOffset, blocks.length);
  const [r0, r1, r2, r3, r4, r5] = r;
  const [, s1, s2, s3, s4, s5] = r.map((limb) => limb * WRAP) as Limbs;
  let [h0, h1, h2, h3, h4, h5] = sum;
  for (let at = 0; at < blocks.length; at += BLOCK_BYTES) {
    const t0 = view.getUint32(at, true);
    const t1 = view.getUint32(at + 4, true);
    const t2 = view.getUint32(at + 8, true);
    const t3 = view.getUint32(at + 12, true);
    h0 += t0 & LIMB_MASK;
    h1 += (((t0 >>> 22) | (t1 << 10)) & LIMB_MASK) * W1;
    h2 += (((t1 >>> 12) | (t2 << 20)) & LIMB_MASK) * W2;
    h3 += ((t2 >>> 2) & LIMB_MASK) * W3;
    h4 += (((t2 >>> 24) | (t3 << 8)) & LIMB_MASK) * W4;
    h5 += (t3 >>> 14) * W5 + highBit;
    const d0 = h0 * r0 + h1 * s5 + h2 * s4 + h3 * s3 + h4 * s2 + h5 * s1;
    const d1 = h0 * r1 + h1 * r0 + h2 * s5 + h3 * s4 + h4 * s3 + h5 * s2;
    const d2 = h0 * r2 + h1 * r1 + h2 * r0 + h3 * s5 + h4 * s4 + h5 * s3;
    const d3 = h0 * r3 + h1 * r2 + h2 * r1 + h3 * r0 + h4 * s5 + h5 * s4;
    const d4 = h0 * r4 + h1 * r3 + h2 * r2 + h3 * r1 + h4 * r0 + h5 * s5;
    const d5 = h0 * r5 + h1 * r4 + h2 * r3 + h3 * r2 + h4 * r1 + h5 * r0;
    // All carries at once, twice: the first round leaves 34 bits, the second 22. One after the other would wait for each.
    let c0 = d0 + ROUND_22 - ROUND_22;
    let c1 = d1 + ROUND_44 - ROUND_44;
    let c2 = d2 + ROUND_66 - ROUND_66;
    let c3 = d3 + ROUND_88 - ROUND_88;
    let c4 = d4 + ROUND_110 - ROUND_110;
    let c5 = d5 + ROUND_132 - ROUND_132;
    h0 = d0 - c0 + c5 * WRAP;
    h1 = d1 - c1 + c0;
    h2 = d2 - c2 + c1;
    h3 = d3 - c3 + c2;
    h4 = d4 - c4 + c3;
    h5 = d5 - c5 + c4;
    c0 = h0 + ROUND_22 - ROUND_22;
    c1 = h1 + ROUND_44 - ROUND_44;
    c2 = h2 + ROUND_66 - ROUND_66;
    c3 = h3 + ROUND_88 - ROUND_88;
    c4 = h4 + ROUND_110 - ROUND_110;
    c5 = h5 + ROUND_132 - ROUND_132;
    h0 += c5 * WRAP - c0;
    h1 += c0 - c1;
    h2 += c1 - c2;
    h3 += c2 - c3;
    h4 += c3 - c4;
    h5 += c4 - c5;
  }
  sum.splice(0, 6, h0, h1, h2, h3, h4, h5);
}
