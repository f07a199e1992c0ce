import { describe, expect, it } from 'vitest';
import {
  acquireChunk,
  CHUNK_BYTES,
  FRAME_HEADER,
  releaseChunk,
  SLOTS,
  slotOffset,
  TOKEN_HEADER,
} from '../../../src/wire/chunk.ts';
import { CHUNK_SIZE } from '../../../src/wire/constants.ts';

describe('chunks', () => {
  it('have slots of one literal token each, behind room for frame and token header', () => {
    const chunk = acquireChunk();
    for (let i = 0; i < SLOTS; i++) {
      chunk.bytes.fill(0);
      chunk.slots[i]!.fill(1);
      const start = slotOffset(i) + FRAME_HEADER + TOKEN_HEADER;
      expect(chunk.bytes.indexOf(1)).toBe(start);
      expect(chunk.bytes.lastIndexOf(1)).toBe(start + CHUNK_SIZE - 1);
    }
    expect(chunk.bytes.length).toBe(CHUNK_BYTES);
    releaseChunk(chunk);
  });

  it('are used again', () => {
    const chunk = acquireChunk();
    releaseChunk(chunk);
    expect(acquireChunk()).toBe(chunk);
  });

  it('beyond the size of the pool are left to the garbage collector', () => {
    const many = Array.from({ length: 80 }, () => acquireChunk());
    for (const chunk of many) releaseChunk(chunk);
    const again = new Set(Array.from({ length: 80 }, () => acquireChunk()));
    const reused = many.filter((chunk) => again.has(chunk)).length;
    expect(reused).toBeLessThanOrEqual(64);
    expect(reused).toBeGreaterThan(0);
  });
});
