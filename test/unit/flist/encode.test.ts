import { describe, expect, it } from 'vitest';
import { LimitError } from '../../../src/errors.ts';
import {
  CONTENT_IMPLIED,
  CONTENT_LISTED,
  CONTENT_NONE,
  CONTENT_TOP,
  fillMissing,
  newEntry,
} from '../../../src/flist/entry.ts';
import { HardLinks } from '../../../src/flist/hard-links.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import { hex } from '../support/bytes.ts';
import { entry, type Fields, makeEncoder } from './entry-fixture.ts';

const PLAIN = { owner: false, group: false };

/** Bytes of the last of some entries of one list. */
function lastOf(protocol: number, layout: Parameters<typeof makeEncoder>[1], ...fields: Fields[]): Buffer {
  const { encoder, bytesOf } = makeEncoder(protocol, layout);
  let bytes: Buffer = Buffer.alloc(0);
  for (const [i, one] of fields.entries()) bytes = bytesOf(() => encoder.put(entry(one), 0, i));
  return bytes;
}

describe('names', () => {
  const shared = 'p'.repeat(300);
  const first = { name: `${shared}a`, mode: 0o100644 };
  const second = { name: `${shared}b`, mode: 0o100644 };

  it('share at most 255 bytes with the one before', () => {
    expect(lastOf(32, { ...PLAIN, varintFlags: true }, first, second)).toEqual(
      Buffer.concat([hex('80 ba ff 2e'), Buffer.from(`${'p'.repeat(45)}b`), hex('00 00 00')]),
    );
  });

  it.each([
    [27, '5a | 2d 01 00 00'],
    [29, '5a | 2d 01 00 00'],
    [30, '5a | 81 2d'],
  ])('of more than 255 new bytes at protocol %i have a longer length', (protocol, start) => {
    const directory = { name: 'x', mode: 0o100644 };
    const size = protocol < 30 ? '00000000' : '000000';
    expect(lastOf(protocol, PLAIN, directory, { ...first, mtimeSec: 7 })).toEqual(
      Buffer.concat([hex(start), Buffer.from(first.name), hex(`${size} | ${protocol < 30 ? '07000000' : '00070000'}`)]),
    );
  });

  it('of 255 new bytes have a length of one byte', () => {
    const bytes = lastOf(31, { ...PLAIN, varintFlags: true }, { name: 'n'.repeat(255), mode: 0o100644 });
    expect(bytes.subarray(0, 3)).toEqual(hex('80 98 ff'));
  });

  it('that repeat exactly share all of their bytes', () => {
    expect(lastOf(31, { ...PLAIN, varintFlags: true }, { name: 'abc', mode: 1 }, { name: 'abc', mode: 1 })).toEqual(
      hex('80 ba 03 00 | 00 00 00'),
    );
  });

  it('of 4095 bytes are written whole after any other', () => {
    const long = 'q'.repeat(4095);
    const bytes = lastOf(30, PLAIN, { name: 'short', mode: 1 }, { name: long, mode: 1 });
    expect(bytes.toString('latin1')).toContain(long);
    expect(lastOf(30, PLAIN, { name: long, mode: 1 }, { name: 'q', mode: 1 })).toEqual(hex('ba 01 00 | 00 00 00'));
  });
});

describe('times', () => {
  it('before 1970 are negative from protocol 30 and clamped to zero below', () => {
    const old = { name: 'f', mode: 0o100644, mtimeSec: -2 };
    expect(lastOf(31, PLAIN, old)).toEqual(hex('18 01 66 | 000000 | f8 feffffff ffffffff | a4810000'));
    expect(lastOf(29, PLAIN, old)).toEqual(hex('18 01 66 | 00000000 | 00000000 | a4810000'));
  });

  it('after 2106 wrap below protocol 30', () => {
    expect(lastOf(28, PLAIN, { name: 'f', mode: 0o100644, mtimeSec: 2 ** 33 + 5 })).toEqual(
      hex('18 01 66 | 00000000 | 05000000 | a4810000'),
    );
  });

  it('have nanoseconds from protocol 31 only, and never zero ones', () => {
    const f = { name: 'f', mode: 0o100644, mtimeSec: 1, mtimeNsec: 999_999_999 };
    expect(lastOf(30, PLAIN, f)).toEqual(hex('18 01 66 | 000000 | 00010000 | a4810000'));
    expect(lastOf(31, { ...PLAIN, varintFlags: true }, f)).toEqual(
      hex('a0 18 01 66 | 000000 | 00010000 | f0 ffc99a3b | a4810000'),
    );
    expect(lastOf(31, { ...PLAIN, varintFlags: true }, { ...f, mtimeNsec: 0 })).toEqual(
      hex('80 98 01 66 | 000000 | a4810000'.replace('80 98', '18').replace('000000 |', '000000 | 00010000 |')),
    );
  });
});

describe('owners', () => {
  it('are written for the first entry even when they are zero', () => {
    const f = { name: 'f', mode: 0o100644 };
    expect(lastOf(30, {}, f)).toEqual(hex('80 01 66 | 000000 | a4810000 | 00 | 00'));
    expect(lastOf(30, {}, f, { ...f, name: 'g' })).toEqual(hex('9a 01 67 | 000000'));
  });

  it('may be as large as 2^32-2', () => {
    const f = { name: 'f', mode: 0o100644, uid: 0xfffffffe };
    expect(lastOf(29, { group: false }, f)).toEqual(hex('90 01 66 | 00000000 | a4810000 | feffffff'));
    expect(lastOf(30, { group: false }, f)).toEqual(hex('90 01 66 | 000000 | a4810000 | f0 feffffff'));
  });

  it('bring their name once a session with incremental recursion, and none without', () => {
    const layout = { incRecurse: true, varintFlags: true, group: false };
    const one = { name: 'a', mode: 1, uid: 1 };
    const zero = { name: 'b', mode: 1, uid: 0 };
    expect(lastOf(32, layout, zero, one)).toEqual(hex('84 92 01 61 | 000000 | 01 06 "daemon"'));
    expect(lastOf(32, layout, zero, one, zero, one)).toEqual(hex('80 92 01 61 | 000000 | 01'));
    expect(lastOf(32, { ...layout, incRecurse: false }, one)).toEqual(hex('80 90 01 61 | 000000 | 01000000 | 01'));
  });
});

describe('directories', () => {
  it.each([
    [CONTENT_TOP, '01', '01'],
    [CONTENT_LISTED, '04', '40'],
    [CONTENT_IMPLIED, '81 01', '40'],
    [CONTENT_NONE, '81 00', '40'],
  ])('with content %i say so in the flags from protocol 30, below only at the top', (content, modern, old) => {
    const before = { name: 'x', mode: 0o100644, uid: 9, gid: 9, mtimeSec: 9 };
    const d = { name: 'd', mode: 0o40755, content };
    const flags = (bytes: Buffer) => bytes.subarray(0, bytes.indexOf('d')).toString('hex');
    const withLength = (notation: string, length: string) => hex(notation + length).toString('hex');
    expect(flags(lastOf(32, { varintFlags: true }, before, d))).toBe(withLength(modern, '01'));
    expect(flags(lastOf(27, {}, before, d))).toBe(withLength(old, old === '40' ? '01000000' : '01'));
  });
});

describe('device numbers', () => {
  const device = { mode: 0o20644, rdevMajor: 5, rdevMinor: 256 };

  it('are left out without -D', () => {
    expect(lastOf(32, { ...PLAIN, devices: false, varintFlags: true }, { name: 'a', ...device })).toEqual(
      hex('80 98 01 61 | 000000 | a4210000'),
    );
  });

  it('at protocol 29 take four bytes for a minor above 255', () => {
    expect(lastOf(29, PLAIN, { name: 'a', ...device })).toEqual(
      hex('98 01 61 | 00000000 | a4210000 | 05000000 | 00010000'),
    );
  });

  it('at protocol 27 start over behind an ordinary entry, but not behind a fifo', () => {
    const fifo = { name: 'p', mode: 0o10644 };
    const f = { name: 'q', mode: 0o100644 };
    const a = { name: 'a', ...device };
    const b = { name: 'b', ...device };
    expect(lastOf(27, PLAIN, a, fifo, b)).toEqual(hex('9c 01 62 | 00000000 | a4210000'));
    expect(lastOf(27, PLAIN, a, f, b)).toEqual(hex('98 01 62 | 00000000 | a4210000 | 00051000'));
  });

  it('leave the running major alone for specials', () => {
    const fifo = { name: 'p', mode: 0o10644 };
    expect(lastOf(30, PLAIN, { name: 'a', ...device }, fifo, { name: 'b', ...device })).toEqual(
      hex('9c 01 01 62 | 000000 | a4210000 | 8100'),
    );
  });
});

describe('links', () => {
  it('lose their target without -l', () => {
    const link = { name: 'l', mode: 0o120777, sizeBytes: 3 };
    expect(lastOf(31, { ...PLAIN, links: false }, link)).toEqual(hex('98 01 6c | 000300 | ffa10000'));
    expect(makeEncoder(31, { links: false }).encoder.needsTarget(0o120777)).toBe(false);
    expect(makeEncoder(31).encoder.needsTarget(0o120777)).toBe(true);
    expect(makeEncoder(31).encoder.needsTarget(0o100644)).toBe(false);
  });

  it('carry targets of up to 4095 bytes', () => {
    const link = { name: 'l', mode: 0o120777, sizeBytes: 4095, linkTarget: 't'.repeat(4095) };
    const bytes = lastOf(32, { ...PLAIN, varintFlags: true }, link);
    expect(bytes.subarray(-4097, -4095)).toEqual(hex('8f ff'));
  });
});

describe('hard links below protocol 30', () => {
  const linked = { name: 'h', mode: 0o100644, linkCount: 2 };

  it('keep every bit of 64-bit device and inode numbers', () => {
    const bytes = lastOf(29, { ...PLAIN, hardLinks: true }, { ...linked, device: 2n ** 40n, inode: 2n ** 63n + 1n });
    expect(bytes.subarray(-24)).toEqual(hex('ffffffff 01000000 00010000 | ffffffff 01000000 00000080'));
  });

  it('take inode numbers as node shows them above 2^63, which is below zero', () => {
    const bytes = lastOf(29, { ...PLAIN, hardLinks: true }, { ...linked, device: 1n, inode: -2n });
    expect(bytes.subarray(-16)).toEqual(hex('02000000 | ffffffff feffffff ffffffff'));
  });

  it('at protocol 27 concern every regular file and nothing else', () => {
    const plain = { name: 'f', mode: 0o100644, linkCount: 1, device: 1n, inode: 3n };
    expect(lastOf(27, { ...PLAIN, hardLinks: true }, plain).subarray(-8)).toEqual(hex('02000000 03000000'));
    const link = { ...linked, mode: 0o120777, linkTarget: 'x', device: 1n, inode: 3n };
    expect(lastOf(27, { ...PLAIN, hardLinks: true }, link).subarray(-5)).toEqual(hex('01000000 "x"'));
  });

  it('from protocol 28 concern links and devices too, but no file of one name', () => {
    const link = { ...linked, mode: 0o120777, linkTarget: 'x', device: 1n, inode: 3n };
    expect(lastOf(28, { ...PLAIN, hardLinks: true }, link).subarray(-8)).toEqual(hex('02000000 03000000'));
    const plain = { name: 'f', mode: 0o100644, linkCount: 1, device: 1n, inode: 3n };
    expect(lastOf(28, { ...PLAIN, hardLinks: true }, plain)).toEqual(hex('98 01 66 | 00000000 | a4810000'));
  });
});

describe('an abbreviated hard link', () => {
  const linked = { mode: 0o100644, linkCount: 2, device: 1n, inode: 9n, mtimeSec: 5 };
  const layout = { ...PLAIN, varintFlags: true, hardLinks: true };

  it('lets the next entry refer to its attributes', () => {
    const next = { name: 'z', mode: 0o100644, mtimeSec: 5 };
    expect(lastOf(31, layout, { ...linked, name: 'a' }, { ...linked, name: 'b' }, next)).toEqual(
      hex('80 9a 01 7a | 000000'),
    );
  });

  it('whose file changed since the first of its group makes the next entry send everything', () => {
    const next = { name: 'z', mode: 0o100644, mtimeSec: 6 };
    const bytes = lastOf(31, layout, { ...linked, name: 'a' }, { ...linked, name: 'b', mtimeSec: 6 }, next);
    expect(bytes).toEqual(hex('18 01 7a | 000000 | 00060000 | a4810000'));
  });
});

describe('hard-link groups', () => {
  const linked = (inode: bigint) => ({ ...newEntry(), mode: 0o100644, linkCount: 2, inode });

  it('are bounded', () => {
    const links = new HardLinks({ ...DEFAULT_LIMITS, hardLinks: 3 });
    for (const inode of [1n, 2n, 3n, 2n]) links.group(linked(inode), 7);
    expect(() => links.group(linked(4n), 7)).toThrow(LimitError);
  });

  it('of the same inode on two devices are two', () => {
    const links = new HardLinks(DEFAULT_LIMITS);
    links.group({ ...linked(1n), device: 1n }, 10);
    expect(links.group({ ...linked(1n), device: 2n }, 20)).toBe(-1);
    expect([links.group({ ...linked(1n), device: 1n }, 30), links.group({ ...linked(1n), device: 2n }, 30)]).toEqual([
      10, 20,
    ]);
  });

  it('have no directories and no missing arguments', () => {
    const links = new HardLinks(DEFAULT_LIMITS);
    const modes = [0o40755, 0, 0o100644, 0o120777, 0o20644, 0o10644, 0o140755];
    const candidates = (protocol: number) => modes.map((mode) => links.isCandidate({ ...linked(1n), mode }, protocol));
    expect(candidates(27)).toEqual([false, false, true, false, false, false, false]);
    expect(candidates(32)).toEqual([false, false, true, true, true, true, true]);
  });
});

describe('missing arguments', () => {
  it.each([
    [32, '18 07 "missing" 00 00 00 | 00 00 00 00 | 00 00 00 00'],
    [29, '18 07 "missing" 00 00 00 00 | 00 00 00 00 | 00 00 00 00'],
  ])('at protocol %i have nothing but a name', (protocol, notation) => {
    const { encoder, bytesOf } = makeEncoder(protocol, { varintFlags: protocol >= 31, hardLinks: true });
    encoder.put(entry({ name: 'f', mode: 0o100644, mtimeSec: 77 }), 0, 0);
    const one = entry({ name: 'old', mode: 0o120777, linkTarget: 'x', mtimeNsec: 4, uid: 3, linkCount: 9 });
    fillMissing(one, Buffer.from('missing'));
    expect(bytesOf(() => encoder.put(one, 0, 1))).toEqual(hex(notation));
  });
});

describe('the end of a list', () => {
  const end = (protocol: number, layout: object, ioError: number) => {
    const { encoder, bytesOf } = makeEncoder(protocol, layout);
    return bytesOf(() => encoder.putEnd(ioError)).toString('hex');
  };

  it('is one zero where nothing else can be said', () => {
    expect([end(27, {}, 3), end(29, {}, 3), end(30, {}, 3), end(30, { safeFlist: true }, 0), end(31, {}, 0)]).toEqual([
      '00',
      '00',
      '00',
      '00',
      '00',
    ]);
  });

  it('carries the I/O error word where the client knows it', () => {
    expect([end(30, { safeFlist: true }, 1), end(31, {}, 3)]).toEqual(['041001', '041003']);
  });

  it('always has two fields with varint flags', () => {
    expect([end(32, { varintFlags: true }, 0), end(32, { varintFlags: true }, 3)]).toEqual(['0000', '0003']);
  });
});
