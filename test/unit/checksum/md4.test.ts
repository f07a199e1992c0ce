import { describe, expect, it } from 'vitest';
import { Md4, md4 } from '../../../src/checksum/md4.ts';

// RFC 1320 A.5.
const RFC_VECTORS = [
  ['', '31d6cfe0d16ae931b73c59d7e0c089c0'],
  ['a', 'bde52cb31de33e46245e05fbdbd6fb24'],
  ['abc', 'a448017aaf21d8525fc10ae87aa6729d'],
  ['message digest', 'd9130a8164549fe818874806e1c7014b'],
  ['abcdefghijklmnopqrstuvwxyz', 'd79e1c308aa5bbcdeea8ed63df412da9'],
  ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', '043f8582f241db351ce627e153e7f0e4'],
  [
    '12345678901234567890123456789012345678901234567890123456789012345678901234567890',
    'e33b4ddc9c38f2199c3e7b164fcc0536',
  ],
] as const;

describe('md4', () => {
  it.each(RFC_VECTORS)('of %j is the digest of RFC 1320', (text, digest) => {
    expect(Buffer.from(md4(Buffer.from(text))).toString('hex')).toBe(digest);
  });

  it('does not depend on how its input is cut', () => {
    const data = Buffer.from(RFC_VECTORS[6][0].repeat(3));
    const whole = md4(data);
    for (let cut = 0; cut <= data.length; cut += 7) {
      const running = new Md4().update(data.subarray(0, cut)).update(data.subarray(cut));
      expect(running.digest()).toEqual(whole);
    }
  });

  it('can be cloned in the middle of a message', () => {
    const running = new Md4().update(Buffer.alloc(100, 1));
    const copy = running.clone();
    running.update(Buffer.from('x'));
    expect(copy.update(Buffer.from('x')).digest()).toEqual(running.digest());
  });
});
