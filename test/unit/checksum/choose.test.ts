import { beforeAll, describe, expect, it } from 'vitest';
import {
  advertisedChecksums,
  chooseChecksum,
  impliedListChecksum,
  impliedVariant,
  parseChecksumChoice,
} from '../../../src/checksum/choose.ts';
import { loadChecksums } from '../../../src/checksum/pool.ts';
import { UsageError } from '../../../src/errors.ts';

beforeAll(loadChecksums);

const choose = (list: string, ours: readonly string[] = advertisedChecksums()) =>
  chooseChecksum(Buffer.from(list), ours);

describe('advertisedChecksums', () => {
  it("is the reference's list, 35 bytes long", () => {
    expect(advertisedChecksums().join(' ')).toBe('xxh128 xxh3 xxh64 md5 md4 sha1 none');
  });
});

describe('chooseChecksum', () => {
  it("follows the client's order, not ours", () => {
    expect(choose('md4 xxh128')).toBe('md4');
  });

  it('skips names that were not offered', () => {
    expect(choose('sha512 xxh3 md5', ['md5', 'none'])).toBe('md5');
  });

  it('ignores case and knows xxhash as xxh64', () => {
    expect(choose('XXHash')).toBe('xxh64');
    expect(choose('MD5')).toBe('md5');
  });

  it('finds nothing in an empty, invalid or foreign list', () => {
    expect(['', ' ', 'INVALID', 'blake3 \u0000'].map((list) => choose(list))).toEqual([null, null, null, null]);
  });

  it('does not take properties of objects for names', () => {
    expect(choose('constructor __proto__ toString')).toBeNull();
  });
});

describe('parseChecksumChoice', () => {
  it('applies one name to both sums', () => {
    expect(parseChecksumChoice('xxHash')).toEqual({ transfer: 'xxh64', list: 'xxh64' });
  });

  it('splits a pair and keeps a half that is auto', () => {
    expect(parseChecksumChoice('auto,MD4')).toEqual({ transfer: 'auto', list: 'md4' });
  });

  it('treats auto as no choice', () => {
    expect([parseChecksumChoice('auto'), parseChecksumChoice('Auto,auto')]).toEqual([null, null]);
  });

  it.each(['foo', '', 'md5,', 'md5,md4,md5', ',md5'])('refuses %j with code 4', (value) => {
    expect(() => parseChecksumChoice(value)).toThrow(UsageError);
  });

  it("names the unknown checksum in rsync's words", () => {
    expect(() => parseChecksumChoice('md5,foo')).toThrow('unknown checksum name: foo');
  });
});

describe('implied checksums', () => {
  it('depend on protocol and compat bit 0x20', () => {
    expect([impliedVariant(29, false), impliedVariant(30, false), impliedVariant(31, true)]).toEqual([
      'md4-old',
      'md5-legacy',
      'md5',
    ]);
  });

  it('for lists are MD4 below protocol 30 and MD5 from there', () => {
    expect([impliedListChecksum(29), impliedListChecksum(30)]).toEqual(['md4', 'md5']);
  });
});
