/** The annotated captures of 2-file-list.md 10: the same entries in, the same bytes out. */

import { describe, expect, it } from 'vitest';
import { CONTENT_LISTED, CONTENT_TOP } from '../../../src/flist/entry.ts';
import { hex } from '../support/bytes.ts';
import { encodeTree, entry, makeEncoder } from './entry-fixture.ts';

const AS_HEX = (notation: string) => hex(notation).toString('hex');

describe('protocol 27 with -aH', () => {
  const bytes = encodeTree(makeEncoder(27, { hardLinks: true }), 0, null);

  it.each([
    ['.', '01 01 2e | 00 10 00 00 | 00 cd b0 63 | ed 41 00 00 | 00 00 00 00 | 00 00 00 00'],
    ['d1b', '9a 03 64 31 62 | 00 10 00 00'],
    ['fifo', '9c 04 "fifo" | 00 00 00 00 | a4 11 00 00'],
    ['sl', '18 02 "sl" | 05 00 00 00 | b5 16 76 5d | ff a1 00 00 | 05 00 00 00 "a.txt"'],
    ['h2', '18 02 "h2" | 03 00 00 00 | 1a e6 f9 61 | ed 89 00 00 | 01 fe 00 00 | a4 49 21 00'],
    ['blk', '98 03 "blk" | 00 00 00 00 | a4 61 00 00 | 70 03 11 11'],
    [
      'big',
      '18 03 "big" | ff ff ff ff 00 f2 05 2a 01 00 00 00 | 1a e6 f9 61 | a4 81 00 00 | 01 fe 00 00 | b4 49 21 00',
    ],
    [
      'a.txt',
      '01 05 "a.txt" | 06 00 00 00 | a5 5d 0d 5e | a4 81 00 00 | d2 04 00 00 | e1 10 00 00 | 01 fe 00 00 | 9d 49 21 00',
    ],
    ['d1/d2', '40 05 00 00 00 "d1/d2" | 00 10 00 00 | 00 cd b0 63 | ed 41 00 00 | 00 00 00 00 | 00 00 00 00'],
    [
      'd1/b.txt',
      '20 03 05 "b.txt" | 06 00 00 00 | d9 95 93 60 | a4 81 00 00 | 01 00 00 00 | 01 00 00 00 | 01 fe 00 00 | 9e 49 21 00',
    ],
  ])('writes %s as captured', (name, notation) => {
    expect(bytes.get(name)).toBe(AS_HEX(notation));
  });
});

describe.each([28, 29])('protocol %i with -aH', (protocol) => {
  const bytes = encodeTree(makeEncoder(protocol, { hardLinks: true }), 0, null);

  it.each([
    ['fifo', '9c 09 04 "fifo" | 00 00 00 00 | a4 11 00 00 | 00'],
    ['h2', '1c 02 02 "h2" | 03 00 00 00 | 1a e6 f9 61 | ed 89 00 00 | 01 fe 00 00 | a4 49 21 00'],
    ['h1', '9c 06 02 "h1" | 03 00 00 00 | ed 89 00 00 | a4 49 21 00'],
    ['blk', '98 03 "blk" | 00 00 00 00 | a4 61 00 00 | 03 01 00 00 | 70 11 01 00'],
    ['null', '1c 08 04 "null" | 00 00 00 00 | 00 cd b0 63 | a4 21 00 00 | 01 00 00 00 | 03'],
    ['null5', '1c 09 05 "null5" | 00 00 00 00 | 00 cd b0 63 | a4 21 00 00 | 05'],
    ['d1/d2', '04 00 05 "d1/d2" | 00 10 00 00 | 00 cd b0 63 | ed 41 00 00 | 00 00 00 00 | 00 00 00 00'],
  ])('writes %s as captured', (name, notation) => {
    // The capture leaves out what stands between `big` and `null5`: the sequence of the tree gives it the same state.
    expect(bytes.get(name)).toBe(AS_HEX(notation));
  });
});

describe('protocol 30 with -aH and incremental recursion', () => {
  const bytes = encodeTree(makeEncoder(30, { hardLinks: true, incRecurse: true, safeFlist: true }), 1, 17);

  it.each([
    ['.', '05 0c 01 2e | 00 00 10 | 63 00 cd b0 | ed 41 00 00 | 00 04 "root" | 00 04 "root"'],
    ['fifo', '9c 01 04 "fifo" | 00 00 00 | a4 11 00 00 | 00'],
    ['h2', '1c 12 02 "h2" | 00 03 00 | 61 1a e6 f9 | ed 89 00 00'],
    ['h1', '9c 02 02 "h1" | 07'],
    ['blk', '98 03 "blk" | 00 00 00 | a4 61 00 00 | 81 03 | c1 70 11'],
    ['big', '18 03 "big" | c1 00 f2 05 2a | 61 1a e6 f9 | a4 81 00 00'],
    ['a.txt', '01 05 "a.txt" | 00 06 00 | 5e a5 5d 0d | a4 81 00 00 | 84 d2 | 90 e1'],
  ])('writes %s as captured', (name, notation) => {
    expect(bytes.get(name)).toBe(AS_HEX(notation));
  });
});

describe.each([31, 32])('protocol %i with -aH, incremental recursion and varint flags', (protocol) => {
  const layout = { hardLinks: true, incRecurse: true, varintFlags: true };
  const bytes = encodeTree(makeEncoder(protocol, layout), 1, 17);

  it.each([
    ['.', '8c 01 01 2e | 00 00 10 | 63 00 cd b0 | ed 41 00 00 | 00 04 "root" | 00 04 "root"'],
    ['d1b', '80 9a 03 "d1b" | 00 00 10'],
    ['fifo', '80 98 04 "fifo" | 00 00 00 | a4 11 00 00'],
    ['h2', '92 18 02 "h2" | 00 03 00 | 61 1a e6 f9 | ed 89 00 00'],
    ['h1', '82 98 02 "h1" | 07'],
    ['a.txt', '04 05 "a.txt" | 00 06 00 | 5e a5 5d 0d | a4 81 00 00 | 84 d2 | 90 e1'],
    ['d1/d2', '04 05 "d1/d2" | 00 00 10 | 63 00 cd b0 | ed 41 00 00 | 00 | 00'],
    [
      'd1/b.txt',
      'ac 20 03 05 "b.txt" | 00 06 00 | 60 d9 95 93 | e7 15 cd 5b | a4 81 00 00 | 01 06 "daemon" | 01 06 "daemon"',
    ],
    ['d1/h3', '82 20 03 02 "h3" | 07 | 00 03 00 | 61 1a e6 f9 | ed 89 00 00 | 00 | 00'],
    ['d1/h4', '82 ba 04 01 "4" | 07 | 00 03 00'],
  ])('writes %s as captured', (name, notation) => {
    expect(bytes.get(name)).toBe(AS_HEX(notation));
  });
});

describe('protocol 32 with -rn', () => {
  const layout = { incRecurse: true, varintFlags: true, owner: false, group: false, links: false };
  const time = { mtimeSec: 0x6b00eb29, mtimeNsec: 330265460 };

  it('writes a single file as captured', () => {
    const { encoder, bytesOf } = makeEncoder(32, layout);
    const f = entry({ name: 'f', mode: 0o100644, sizeBytes: 3, ...time });
    const bytes = bytesOf(() => {
      encoder.put(f, 1, 0);
      encoder.putEnd(0);
    });
    expect(bytes).toEqual(hex('a0 18 01 66 | 00 03 00 | 6b 29 eb 00 | f0 74 73 af 13 | a4 81 00 00 | 00 00'));
  });

  it('writes a directory and, in its own list, the file in it as captured', () => {
    const { encoder, bytesOf } = makeEncoder(32, layout);
    const d = entry({ name: 'd', mode: 0o40755, sizeBytes: 4096, content: CONTENT_TOP, ...time });
    const g = entry({ name: 'd/g', mode: 0o100644, sizeBytes: 2, ...time });
    expect(bytesOf(() => encoder.put(d, 1, 0))).toEqual(
      hex('a0 19 01 64 | 00 00 10 | 6b 29 eb 00 | f0 74 73 af 13 | ed 41 00 00'),
    );
    expect(bytesOf(() => encoder.put(g, 3, 0))).toEqual(
      hex('a0 b8 01 02 2f 67 | 00 02 00 | f0 74 73 af 13 | a4 81 00 00'),
    );
  });
});

describe('-c', () => {
  const dot = entry({ name: '.', mode: 0o40755, sizeBytes: 4096, mtimeSec: 5, content: CONTENT_TOP });
  const d = entry({ name: 'd', mode: 0o40755, sizeBytes: 4096, mtimeSec: 5, content: CONTENT_LISTED });
  const md4 = '5d3f4af867fef0204cab6562741c7766';
  const b = (sum: string) => ({
    ...entry({ name: 'b', mode: 0o100644, sizeBytes: 2, mtimeSec: 5 }),
    checksum: Buffer.from(sum, 'hex'),
  });

  it('at protocol 27 gives every type a sum, zeros where it has no content', () => {
    const { encoder, bytesOf } = makeEncoder(27, { checksumLength: 16 });
    encoder.put(dot, 0, 0);
    expect(bytesOf(() => encoder.put(b(md4), 0, 1))).toEqual(hex(`98 01 62 | 02 00 00 00 | a4 81 00 00 | ${md4}`));
    expect(bytesOf(() => encoder.put(d, 0, 2))).toEqual(
      hex(`98 01 64 | 00 10 00 00 | ed 41 00 00 | ${'00'.repeat(16)}`),
    );
  });

  it('at protocol 32 gives only files a sum', () => {
    const sum = '4aa8385890ef195b85cf3109e533d4cc';
    const { encoder, bytesOf } = makeEncoder(32, { varintFlags: true, checksumLength: 16 });
    encoder.put(dot, 0, 0);
    expect(bytesOf(() => encoder.put(b(sum), 0, 1))).toEqual(hex(`80 98 01 62 | 00 02 00 | a4 81 00 00 | ${sum}`));
    expect(bytesOf(() => encoder.put(d, 0, 2))).toEqual(hex('80 98 01 64 | 00 00 10 | ed 41 00 00'));
  });

  it('sends zeros for a file that could not be read', () => {
    const { encoder, bytesOf } = makeEncoder(30, { checksumLength: 8 });
    const unread = { ...b(md4), checksum: null };
    expect(bytesOf(() => encoder.put(unread, 0, 0)).subarray(-8)).toEqual(Buffer.alloc(8));
  });
});

describe('-U', () => {
  const dot = entry({ name: '.', mode: 0o40755, sizeBytes: 4096, mtimeSec: 5, content: CONTENT_TOP });
  const b = entry({ name: 'b', mode: 0o100644, sizeBytes: 2, mtimeSec: 5, atimeSec: 1654041600 });
  const c = { ...b, name: Buffer.from('c') };

  it('adds the access time as a varlong even at protocol 29, and leaves a repeated one out', () => {
    const { encoder, bytesOf } = makeEncoder(29, { atimes: true });
    encoder.put(dot, 0, 0);
    expect(bytesOf(() => encoder.put(b, 0, 1))).toEqual(hex('98 01 62 | 02 00 00 00 | a4 81 00 00 | 62 00 ac 96'));
    expect(bytesOf(() => encoder.put(c, 0, 2))).toEqual(hex('9e 40 01 63 | 02 00 00 00'));
  });

  it('repeats it at protocol 27, which has no bit to say that it is the same', () => {
    const { encoder, bytesOf } = makeEncoder(27, { atimes: true });
    encoder.put(dot, 0, 0);
    encoder.put(b, 0, 1);
    expect(bytesOf(() => encoder.put(c, 0, 2))).toEqual(hex('9a 01 63 | 02 00 00 00 | 62 00 ac 96'));
  });
});
