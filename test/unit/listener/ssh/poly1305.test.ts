/** Poly1305 against the RFC's vectors and against plain arithmetic. */

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { poly1305 as chosen, tagOf } from '../../../../src/listener/ssh/poly1305.ts';
import { sumPlain } from '../../../../src/listener/ssh/poly1305-plain.ts';
import { createWasmSum, MAX_MESSAGE_BYTES } from '../../../../src/listener/ssh/poly1305-wasm.ts';

type Poly1305 = typeof chosen;
const wasmSum = createWasmSum()!;
const IMPLEMENTATIONS: readonly [string, Poly1305][] = [
  ['WebAssembly', (key, message) => tagOf(wasmSum(key, message), key)],
  ['plain JavaScript', (key, message) => tagOf(sumPlain(key, message), key)],
  ['the chosen one', chosen],
];

const littleEndian = (bytes: Uint8Array): bigint => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);

/** RFC 8439 2.5 word for word, on BigInt. */
function reference(key: Uint8Array, message: Uint8Array): Buffer {
  const prime = 2n ** 130n - 5n;
  const r = littleEndian(key.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  let sum = 0n;
  for (let at = 0; at < message.length; at += 16) {
    sum = ((sum + littleEndian(Uint8Array.of(...message.subarray(at, at + 16), 1))) * r) % prime;
  }
  const tag = (sum + littleEndian(key.subarray(16, 32))) & (2n ** 128n - 1n);
  return Buffer.from(tag.toString(16).padStart(32, '0'), 'hex').reverse();
}

describe.each(IMPLEMENTATIONS)('poly1305 in %s', (_, poly1305) => {
  it('gives the tag of RFC 8439 2.5.2', () => {
    const key = Buffer.from('85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b', 'hex');
    const tag = poly1305(key, Buffer.from('Cryptographic Forum Research Group'));
    expect(tag.toString('hex')).toBe('a8061dc1305136c6c22b8baf0c0127a9');
  });

  // RFC 8439 A.3, vectors 7 to 11: sums around the prime.
  it.each([
    ['02'.padEnd(64, '0'), 'f'.repeat(32), '03'.padEnd(32, '0')],
    [`${'02'.padEnd(32, '0')}${'f'.repeat(32)}`, '02'.padEnd(32, '0'), '03'.padEnd(32, '0')],
    ['01'.padEnd(64, '0'), `${'f'.repeat(32)}f0${'f'.repeat(30)}11${'0'.repeat(30)}`, '05'.padEnd(32, '0')],
    ['01'.padEnd(64, '0'), `${'f'.repeat(32)}fb${'fe'.repeat(15)}${'01'.repeat(16)}`, '0'.repeat(32)],
    ['02'.padEnd(64, '0'), `fd${'f'.repeat(30)}`, `fa${'f'.repeat(30)}`],
  ])('reduces correctly: key %s, message %s', (key, message, tag) => {
    expect(poly1305(Buffer.from(key, 'hex'), Buffer.from(message, 'hex')).toString('hex')).toBe(tag);
  });

  it('agrees with arithmetic on whole numbers for any key and message', () => {
    const extreme = fc.constantFrom(0, 1, 0x7f, 0x80, 0xfe, 0xff);
    const bytes = (size: fc.IntArrayConstraints) =>
      fc.oneof(
        fc.uint8Array(size),
        fc.array(extreme, size).map((list) => Uint8Array.from(list)),
      );
    fc.assert(
      fc.property(bytes({ minLength: 32, maxLength: 32 }), bytes({ maxLength: 200 }), (key, message) => {
        expect(poly1305(key, message)).toEqual(reference(key, message));
      }),
      { numRuns: 500 },
    );
  });

  it('stays exact over a long message of the largest values', () => {
    const [key, message] = [Buffer.alloc(32, 0xff), Buffer.alloc(40_000, 0xff)];
    expect(poly1305(key, message)).toEqual(reference(key, message));
  });
});

describe('the choice', () => {
  it.each([-1, 0, 1])('takes messages around the size of the memory of WebAssembly, %i bytes off', (off) => {
    const [key, message] = [Buffer.alloc(32, 7), Buffer.alloc(MAX_MESSAGE_BYTES + off, 0xfe)];
    expect(chosen(key, message)).toEqual(reference(key, message));
  });
});
