import { describe, expect, it } from 'vitest';
import { createCompressor } from '../../../src/compress/choose.ts';
import { Limiter } from '../../../src/compress/limiter.ts';
import { PeerGone } from '../../../src/errors.ts';

describe('a native compressor', () => {
  it.each(['zlib', 'zstd'] as const)(
    '%s rejects pending and later calls once released, and frees its job',
    async (name) => {
      const limiter = new Limiter(1);
      const compressor = createCompressor({ name, level: 3 }, 31, { limiter, lz4: null }, () => {});
      compressor.startFile();
      const pending = compressor.literal(Buffer.alloc(1_000_000));
      compressor.release();
      await expect(pending).rejects.toThrow(PeerGone);
      await expect(compressor.literal(Buffer.from('x'))).rejects.toThrow(PeerGone);
      expect(limiter.load).toBe(0);
    },
  );

  it('that waits for its turn rejects when released meanwhile', async () => {
    const limiter = new Limiter(1);
    const gate = Promise.withResolvers<void>();
    const other = limiter.run(() => gate.promise);
    const compressor = createCompressor({ name: 'zstd', level: 3 }, 31, { limiter, lz4: null }, () => {});
    const waiting = expect(compressor.literal(Buffer.from('x'))).rejects.toThrow(PeerGone);
    compressor.release();
    gate.resolve();
    await Promise.all([waiting, other]);
    expect(limiter.load).toBe(0);
  });
});
