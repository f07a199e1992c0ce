/** SSH data types: literal bytes, bounds, and anything at all. */

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../../../../src/errors.ts';
import {
  encodeMessage,
  encodeMpint,
  encodeNameList,
  encodeString,
  encodeUint32,
  PayloadReader,
} from '../../../../src/listener/ssh/codec.ts';
import { hex } from '../../support/bytes.ts';

describe('encodings', () => {
  // RFC 4251 5.
  it.each([
    ['', '00 00 00 00'],
    ['00 00', '00 00 00 00'],
    ['09 a3 78 f9 b2 e3 32 a7', '00 00 00 08 09 a3 78 f9 b2 e3 32 a7'],
    ['80', '00 00 00 02 00 80'],
    ['00 00 7f', '00 00 00 01 7f'],
  ])('writes the number %s as %s', (magnitude, bytes) => {
    expect(encodeMpint(hex(magnitude))).toEqual(hex(bytes));
  });

  it('writes name-lists with commas', () => {
    expect(encodeNameList(['zlib', 'none'])).toEqual(hex('00 00 00 09 "zlib,none"'));
    expect(encodeNameList([])).toEqual(hex('00 00 00 00'));
  });

  it('puts the number before the fields of a message', () => {
    expect(encodeMessage(5, encodeString('a'), encodeUint32(258))).toEqual(hex('05 | 00 00 00 01 "a" | 00 00 01 02'));
  });
});

describe('PayloadReader', () => {
  it('reads fields in order', () => {
    const reader = new PayloadReader(
      hex('05 | 00 00 00 01 "a" | 00 00 01 02 | 02 | 00 00 00 03 "a,b" | 00 00 00 02 00 80'),
    );
    expect(reader.byte('a')).toBe(5);
    expect(String(reader.string('b'))).toBe('a');
    expect(reader.uint32('c')).toBe(258);
    expect(reader.boolean('d')).toBe(true);
    expect(reader.nameList('e')).toEqual(['a', 'b']);
    expect(reader.positiveMpint('f', 1)).toEqual(hex('80'));
    expect(() => reader.end('it')).not.toThrow();
  });

  it('reads numbers above 2^31', () => {
    expect(new PayloadReader(hex('ff ff ff ff')).uint32('x')).toBe(0xffffffff);
  });

  it.each([4, 5])('takes a string of %i bytes when 5 are the bound', (length) => {
    expect(new PayloadReader(encodeString('x'.repeat(length))).string('x', 5)).toHaveLength(length);
  });

  it('refuses a string of 6 bytes when 5 are the bound', () => {
    expect(() => new PayloadReader(encodeString('xxxxxx')).string('x', 5)).toThrow('SSH: x too long');
  });

  it('refuses a string that is longer than the message', () => {
    expect(() => new PayloadReader(hex('ff ff ff ff 00')).string('x')).toThrow('SSH: message ends inside x');
  });

  it.each(['00 00 00 00', '00 00 00 01 00', '00 00 00 01 80', '00 00 00 02 00 00', '00 00 00 02 00 7f'])(
    'refuses %s as a positive number',
    (bytes) => {
      expect(() => new PayloadReader(hex(bytes)).positiveMpint('x', 8)).toThrow('SSH: x is no positive number');
    },
  );

  it('refuses a name with control characters', () => {
    expect(() => new PayloadReader(encodeString('a\x1b[2J')).name('x')).toThrow('SSH: x is not printable');
  });

  it('refuses bytes behind the end', () => {
    expect(() => new PayloadReader(hex('00')).end('it')).toThrow('SSH: bytes after the end of it');
  });

  it('throws nothing but ProtocolError, whatever it is given', () => {
    const steps = ['byte', 'boolean', 'uint32', 'string', 'name', 'nameList'] as const;
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 64 }),
        fc.array(fc.constantFrom(...steps), { maxLength: 8 }),
        (bytes, calls) => {
          const reader = new PayloadReader(Buffer.from(bytes));
          try {
            for (const call of calls) reader[call]('field');
            reader.positiveMpint('field', 8);
            reader.end('all');
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(ProtocolError);
          }
        },
      ),
    );
  });
});
