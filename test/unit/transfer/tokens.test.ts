import { describe, expect, it } from 'vitest';
import { PlainTokens, reserveLiteral } from '../../../src/transfer/tokens.ts';
import { CHUNK_SIZE } from '../../../src/wire/constants.ts';
import { hex } from '../support/bytes.ts';
import { StreamDecoder } from '../support/list-decoder.ts';
import { written } from '../support/streams.ts';

const decoder = (bytes: Buffer) => new StreamDecoder(bytes, { protocol: 31, compatFlags: 0 });

describe('plain tokens', () => {
  it('are literals, matches and an end', () => {
    const bytes = written((writer) => {
      const tokens = new PlainTokens(writer);
      tokens.literal(Buffer.from('ab'));
      tokens.match(0);
      tokens.match(2 ** 31 - 2);
      tokens.literal(Buffer.alloc(0));
      reserveLiteral(writer, 3).set(Buffer.from('xyz'));
      tokens.end();
    });
    expect(bytes).toEqual(hex('02000000 "ab" | ffffffff | 01000080 | 03000000 "xyz" | 00000000'));
  });

  it('of an empty file are the end alone', () => {
    expect(written((writer) => new PlainTokens(writer).end())).toEqual(hex('00000000'));
  });

  it.each([CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 5 * CHUNK_SIZE, 200_001])(
    'carry %i literal bytes in pieces of at most 32768',
    (length) => {
      const data = Buffer.from(Uint8Array.from({ length }, (_, i) => i % 253));
      const bytes = written((writer) => {
        const tokens = new PlainTokens(writer);
        tokens.literal(data);
        tokens.end();
      });
      const pieces = decoder(bytes).tokens() as Buffer[];
      expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThanOrEqual(32768);
      expect(pieces.length).toBe(Math.ceil(length / 32768));
      expect(Buffer.concat(pieces).equals(data)).toBe(true);
    },
  );
});
