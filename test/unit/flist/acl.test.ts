import { describe, expect, it } from 'vitest';
import { type Acl, AclEncoder, decodeAcl, EMPTY_ACL, reduceAccessAcl } from '../../../src/flist/acl.ts';
import { MentionedIds } from '../../../src/flist/ids.ts';
import { LiteralCache } from '../../../src/flist/literal-cache.ts';
import { hex } from '../support/bytes.ts';
import { written } from '../support/streams.ts';
import { errnoOf } from '../vfs/view-fixture.ts';

const NO_ID = 'ffffffff';
/** u:1234:rwx g::r-- g:daemon:r-- mask rwx, as the kernel gives it for mode 0674. */
const KERNEL = hex(
  `02000000 | 0100 0600 ${NO_ID} | 0200 0700 d2040000 | 0400 0400 ${NO_ID} | 0800 0400 01000000 | 1000 0700 ${NO_ID} | 2000 0400 ${NO_ID}`,
);
const DECODED: Acl = {
  userObj: 6,
  groupObj: 4,
  mask: 7,
  other: 4,
  named: [
    { isUser: true, id: 1234, permissions: 7 },
    { isUser: false, id: 1, permissions: 4 },
  ],
};

describe("the kernel's form", () => {
  it('is decoded', () => {
    expect(decodeAcl(KERNEL)).toEqual(DECODED);
  });

  it('may list its entries in any order: users come first, each kind by id', () => {
    const named = hex(
      '02000000 | 0800 0100 00000080 | 0200 0200 ffffff7f | 0800 0300 02000000 | 0200 0400 01000080 | 0200 0500 03000000',
    );
    expect(decodeAcl(named).named.map(({ isUser, id }) => [isUser, id])).toEqual([
      [true, 3],
      [true, 0x7fffffff],
      [true, 0x80000001],
      [false, 2],
      [false, 0x80000000],
    ]);
  });

  it.each([
    ['is cut', KERNEL.subarray(0, -1)],
    ['is empty', Buffer.alloc(0)],
    ['has another version', hex('03000000')],
  ])('is an error when it %s', (_, bytes) => {
    expect(errnoOf(() => decodeAcl(bytes))).toBe(22);
  });
});

describe('an access ACL', () => {
  const base: Acl = { ...DECODED, named: [] };

  it('without mask says nothing that the mode does not say', () => {
    expect(reduceAccessAcl({ ...base, mask: null }, 0o100640)).toEqual(EMPTY_ACL);
  });

  it('drops a mask that the mode shows, where named entries tell that there is one', () => {
    expect(reduceAccessAcl(DECODED, 0o100674)).toEqual({ ...EMPTY_ACL, groupObj: 4, named: DECODED.named });
    expect(reduceAccessAcl(base, 0o100674)).toEqual({ ...EMPTY_ACL, groupObj: 4, mask: 7 });
  });

  it('drops the group where it equals the group bits', () => {
    expect(reduceAccessAcl({ ...base, mask: 4 }, 0o100644)).toEqual({ ...EMPTY_ACL, mask: 4 });
  });

  it('keeps a mask that differs from the mode', () => {
    expect(reduceAccessAcl(DECODED, 0o100644)).toEqual({ ...EMPTY_ACL, mask: 7, named: DECODED.named });
  });
});

describe('encoding', () => {
  const NAMES = new Map([[1, Buffer.from('daemon')]]);

  function encode(acls: readonly Acl[], attachesNames = true, max = 10): Buffer {
    const ids = { users: new MentionedIds(NAMES), groups: new MentionedIds(NAMES) };
    return written((writer) => {
      const encoder = new AclEncoder(writer, ids, attachesNames, new LiteralCache(max));
      for (const acl of acls) encoder.put(acl);
    });
  }

  const ACCESS = reduceAccessAcl(DECODED, 0o100674);
  const DEFAULTS: Acl = {
    userObj: 7,
    groupObj: 5,
    mask: 5,
    other: 5,
    named: [{ isUser: true, id: 1, permissions: 5 }],
  };

  it('writes literal ACLs as captured (2-file-list.md 10.6)', () => {
    expect(encode([ACCESS])).toEqual(hex('00 12 04 | 02 | 84 d2 1e | 01 11 06 "daemon"'));
    expect(encode([EMPTY_ACL])).toEqual(hex('00 00'));
    expect(encode([DEFAULTS])).toEqual(hex('00 1f 07 05 05 05 01 01 17 06 "daemon"'));
  });

  it('attaches the name of an id once, for users and groups apart', () => {
    const other = { ...DEFAULTS, mask: 7 };
    expect(encode([ACCESS, DEFAULTS, other])).toEqual(
      hex('00 12 04 02 84d21e 01 11 06 "daemon" | 00 1f 07050505 01 01 17 06 "daemon" | 00 1f 07050705 01 01 16'),
    );
  });

  it('attaches no names where lists of ids follow', () => {
    expect(encode([ACCESS], false)).toEqual(hex('00 12 04 | 02 | 84 d2 1e | 01 10'));
  });

  it('refers to equal ACLs by index', () => {
    expect(encode([EMPTY_ACL, ACCESS, EMPTY_ACL, { ...ACCESS }], false)).toEqual(
      hex('00 00 | 00 12 04 02 84d21e 01 10 | 01 | 02'),
    );
  });

  it('tells an absent part from one without permissions, and users from groups', () => {
    const zero: Acl = { ...EMPTY_ACL, mask: 0 };
    const one = (isUser: boolean): Acl => ({ ...EMPTY_ACL, named: [{ isUser, id: 9, permissions: 1 }] });
    expect(encode([EMPTY_ACL, zero, one(true), one(false)])).toEqual(
      hex('00 00 | 00 04 00 | 00 10 01 09 06 | 00 10 01 09 04'),
    );
  });

  it('repeats what it may not remember, and counts on', () => {
    const mask = (permissions: number): Acl => ({ ...EMPTY_ACL, mask: permissions });
    expect(encode([mask(1), mask(2), mask(2), mask(1)], true, 1)).toEqual(hex('00 04 01 | 00 04 02 | 00 04 02 | 01'));
  });
});

describe('LiteralCache', () => {
  it('counts every literal, also those that it does not remember', () => {
    const cache = new LiteralCache(2);
    const of = (text: string) => cache.indexOf(Buffer.from(text));
    expect(['a', 'b', 'c', 'c', 'b', 'a'].map(of)).toEqual([-1, -1, -1, -1, 1, 0]);
  });

  it('compares long literals in full', () => {
    const cache = new LiteralCache(9);
    const long = (last: string) => Buffer.from('x'.repeat(1000) + last);
    expect([long('a'), long('b'), long('b'), long('a')].map((bytes) => cache.indexOf(bytes))).toEqual([-1, -1, 1, 0]);
  });
});
