import { describe, expect, it } from 'vitest';
import {
  advertisedCompressions,
  chooseCompression,
  createCompressor,
  requireLibrary,
  resolveCompression,
} from '../../../src/compress/choose.ts';
import { Limiter } from '../../../src/compress/limiter.ts';
import type { Lz4BlockFunction } from '../../../src/compress/lz4.ts';
import { Bug, UsageError } from '../../../src/errors.ts';

const lz4: Lz4BlockFunction = (data) => ({ block: data, taken: data.length });

describe('advertisedCompressions', () => {
  it("is the reference's list, 24 bytes long, where there is lz4", () => {
    expect(advertisedCompressions({ lz4 }).join(' ')).toBe('zstd lz4 zlibx zlib none');
  });

  it('leaves lz4 out where there is none', () => {
    expect(advertisedCompressions({ lz4: null })).toEqual(['zstd', 'zlibx', 'zlib', 'none']);
  });
});

describe('chooseCompression', () => {
  it("takes the client's first name that we offer", () => {
    const ours = advertisedCompressions({ lz4: null });
    expect(chooseCompression(Buffer.from('brotli LZ4 ZLIBX zstd'), ours)).toBe('zlibx');
  });

  it('finds nothing without overlap', () => {
    expect(chooseCompression(Buffer.from('INVALID'), ['zlib', 'none'])).toBeNull();
  });
});

describe('requireLibrary', () => {
  it('refuses lz4 where there is none, in the words of the reference', () => {
    const asked = { name: 'lz4', level: 0 } as const;
    expect(() => requireLibrary(asked, { lz4: null })).toThrow(new UsageError('unknown compress name: lz4\n'));
    expect(() => requireLibrary(asked, { lz4 })).not.toThrow();
  });

  it('lets everything else pass', () => {
    for (const one of [null, { name: 'zstd', level: 3 } as const]) {
      expect(() => requireLibrary(one, { lz4: null })).not.toThrow();
    }
  });
});

describe('resolveCompression', () => {
  it.each([
    ['zlib', null, 5],
    ['zlib', -1, 5],
    ['zlib', 9, 6],
    ['zlib', 1, 1],
    ['zlib', -7, 1],
    ['zlibx', 3, 3],
    ['zstd', null, 3],
    ['zstd', 0, 3],
    ['zstd', 22, 3],
    ['zstd', -4, -4],
    ['zstd', -(2 ** 31), -131_072],
    ['lz4', 9, 0],
  ] as const)('%s with level %s runs at level %i', (name, level, expected) => {
    expect(resolveCompression(name, level)).toEqual({ name, level: expected });
  });

  it('switches zlib and zlibx off at level 0, and none always', () => {
    expect([resolveCompression('zlib', 0), resolveCompression('zlibx', 0), resolveCompression('none', 6)]).toEqual([
      null,
      null,
      null,
    ]);
  });
});

describe('createCompressor', () => {
  it('does not make lz4 where there is none', () => {
    const tools = { limiter: new Limiter(1), lz4: null };
    expect(() => createCompressor({ name: 'lz4', level: 0 }, 31, tools, () => {})).toThrow(Bug);
  });
});
