import { afterEach, describe, expect, it } from 'vitest';
import { EMPTY_ACL } from '../../../src/flist/acl.ts';
import { AttributeLists } from '../../../src/flist/attributes.ts';
import type { FileEntry } from '../../../src/flist/entry.ts';
import { MentionedIds } from '../../../src/flist/ids.ts';
import { NO_XATTRS, XattrListBuilder } from '../../../src/flist/xattrs.ts';
import { DEFAULT_LIMITS } from '../../../src/limits.ts';
import {
  ACCESS_ACL,
  type AttributeTable,
  DEFAULT_ACL,
  KERNEL_ACL,
  viewWithAttributes,
} from '../support/attribute-view.ts';
import { dataOf, hex } from '../support/bytes.ts';
import { type ContextPlan, makeSession } from '../support/session-context.ts';
import { entry } from './entry-fixture.ts';
import { cleanUp, type Listed, list, makeTree } from './list-fixture.ts';

afterEach(cleanUp);

const NAMES = new Map([
  [0, Buffer.from('root')],
  [1, Buffer.from('daemon')],
]);
const XATTRS = { options: { xattrs: 1 } };

/** Lists a tree whose attributes are a table's. */
function listWith(
  table: AttributeTable,
  args: readonly string[],
  plan: Partial<ContextPlan> & { tree?: Record<string, string> } = {},
): Promise<Listed> {
  const { tree = { f: 'x' }, ...rest } = plan;
  const full = { ...XATTRS, ...rest, options: { ...XATTRS.options, ...rest.options } };
  return list(makeTree(tree), args, { ...full, makeView: viewWithAttributes(table) });
}

/** The whole data stream in latin1: where exact bytes do not matter, what stands in it does. */
const textOf = ({ fixture }: Listed): string => dataOf(fixture.sent()).toString('latin1');
const hexOf = ({ fixture }: Listed): string => dataOf(fixture.sent()).toString('hex');

describe('what stands behind an entry', () => {
  function xattrs(values: Record<string, string>) {
    const builder = new XattrListBuilder(DEFAULT_LIMITS);
    for (const [name, value] of Object.entries(values)) builder.add(Buffer.from(name), Buffer.from(value));
    return builder.finish();
  }
  const DIR: Partial<FileEntry> = { mode: 0o40755 };
  const ACL = {
    ...EMPTY_ACL,
    groupObj: 4,
    named: [
      { isUser: true, id: 1234, permissions: 7 },
      { isUser: false, id: 1, permissions: 4 },
    ],
  };
  const DAEMON = [{ isUser: true, id: 1, permissions: 7 }];
  const DEFAULTS = { userObj: 7, groupObj: 5, mask: 5, other: 5, named: [{ isUser: true, id: 1, permissions: 5 }] };
  const BIG = { 'user.big': 'B'.repeat(100), 'user.small': 'hello' };
  const EMPTY = { access: EMPTY_ACL, defaults: EMPTY_ACL, xattrs: NO_XATTRS };

  async function encode(entries: readonly Partial<FileEntry>[], options: object): Promise<Buffer> {
    const fixture = await makeSession({ root: makeTree({}), incRecurse: true, options });
    const ids = { users: new MentionedIds(NAMES), groups: new MentionedIds(NAMES) };
    const lists = new AttributeLists(fixture.context, ids);
    for (const one of entries) lists.put({ ...entry({ name: 'x' }), ...one });
    fixture.close();
    return dataOf(fixture.sent());
  }

  it('are the captured bytes (2-file-list.md 10.6)', async () => {
    const output = await encode(
      [
        { ...DIR, attributes: EMPTY },
        { ...DIR, attributes: EMPTY },
        { mode: 0o100674, attributes: { ...EMPTY, access: ACL, xattrs: xattrs(BIG) } },
        { mode: 0o100674, attributes: { ...EMPTY, access: ACL, xattrs: xattrs(BIG) } },
      ],
      { acls: true, xattrs: 1 },
    );
    expect(output).toEqual(
      hex(
        '00 00 | 00 00 | 00 00 || 01 | 01 | 01 ||' +
          '00 12 04 | 02 | 84 d2 1e | 01 11 06 "daemon" | 00 02 | 09 64 "user.big" 00 f9d3f4663bd9484b57c66d0e7f16dfa8 | 0b 05 "user.small" 00 "hello" ||' +
          '02 | 02',
      ),
    );
  });

  it('names an id of a default ACL only where the access ACL did not', async () => {
    const access = { ...EMPTY_ACL, groupObj: 5, named: DAEMON };
    const attributes = { access, defaults: DEFAULTS, xattrs: xattrs({ 'user.dirx': 'dx' }) };
    expect(await encode([{ ...DIR, attributes }], { acls: true, xattrs: 1 })).toEqual(
      hex('00 12 05 01 01 1f 06 "daemon" | 00 1f 07 05 05 05 01 01 16 | 00 01 0a 02 "user.dirx" 00 "dx"'),
    );
  });

  it('is as many fields as type and options have', async () => {
    const kinds = [{ mode: 0o120777 }, { mode: 0o100644 }, { mode: 0 }, DIR];
    // The link has no ACL; only the directory has a default ACL.
    expect(await encode(kinds, { acls: true, xattrs: 0 })).toEqual(hex('00 00 | 01 | 01 00 00'));
    expect(await encode(kinds, { acls: false, xattrs: 1 })).toEqual(hex('00 00 | 01 | 01 | 01'));
  });
});

describe('a list with -A or -X', () => {
  it('holds what the module shows of each entry', async () => {
    const listed = await listWith({ f: { 'user.b': '2', 'user.a': '1', 'system.x': 'no' } }, ['f']);
    expect(hexOf(listed)).toContain(hex('00 02 | 07 01 "user.a" 00 "1" | 07 01 "user.b" 00 "2"').toString('hex'));
    expect(textOf(listed)).not.toContain('system');
  });

  it('is followed by the lists of both kinds of ids for -A alone, ids of ACLs included', async () => {
    const plan = { options: { acls: true, xattrs: 0 }, module: { idNames: { users: NAMES, groups: NAMES } } };
    const listed = await listWith({ f: { [ACCESS_ACL]: KERNEL_ACL } }, ['f'], plan);
    expect(hexOf(listed)).toMatch(
      new RegExp(`${hex('00 00 | 00 04 "root" | 01 06 "daemon" 00 04 "root"').toString('hex')}$`),
    );
  });

  it('compares an ACL with the mode on disk, whatever mode is sent', async () => {
    const options = { acls: true, xattrs: 0 };
    // The tree's files have mode 0644: the mask rwx differs from their group bits, and so does nothing that is sent.
    const sent = async (outgoingChmod: ((mode: number) => number) | null) =>
      hexOf(await listWith({ f: { [ACCESS_ACL]: KERNEL_ACL } }, ['f'], { options, module: { outgoingChmod } }));
    const reduced = hex('00 14 07 02 84d21e 01 10').toString('hex');
    expect(await sent(null)).toContain(reduced);
    expect(await sent((mode) => mode | 0o070)).toContain(reduced);
  });

  it('reads nothing of a link without -l, and sends an empty list', async () => {
    const table = { l: { names: 13 } };
    const tree = { l: '-> nowhere' };
    expect((await listWith(table, ['l'], { tree, options: { links: false } })).messages).toEqual([]);
    expect((await listWith(table, ['l'], { tree, options: { links: true } })).messages).toHaveLength(1);
  });

  it('with -L shows the attributes of the link and the ACL of what it leads to', async () => {
    const table = {
      f: { [ACCESS_ACL]: KERNEL_ACL, 'user.f': 'of the file' },
      l: { [ACCESS_ACL]: 13, 'user.l': 'of the link' },
    };
    const options = { acls: true, copyLinks: true };
    const listed = await listWith(table, ['l'], { tree: { f: 'x', l: '-> f' }, options });
    expect(textOf(listed)).toContain('user.l\0of the link');
    expect(hexOf(listed)).toContain(hex('84d21e').toString('hex'));
    expect(listed.messages).toEqual([]);
  });
});

describe('an entry whose attributes cannot be read', () => {
  it('is left out with a message in C rsync’s words, and so is all below it', async () => {
    const table = { d: { 'user.z': 13 }, f: { 'user.a': 'v' }, g: { names: 5 }, h: { [ACCESS_ACL]: 13 } };
    const tree = { f: 'x', 'd/inside': 'x', g: 'x', h: 'x' };
    const listed = await listWith(table, ['.'], { tree, options: { acls: true } });
    expect(listed.messages.toSorted()).toEqual([
      '1:rsync: [sender] get_acl: lgetxattr("/h" (in m),"system.posix_acl_access",0) failed: Permission denied (13)\n',
      '1:rsync: [sender] get_xattr_data: lgetxattr("/d" (in m),"user.z",0) failed: Permission denied (13)\n',
      '1:rsync: [sender] get_xattr_names: llistxattr("/g" (in m),1024) failed: Input/output error (5)\n',
    ]);
    expect(textOf(listed)).not.toContain('inside');
    expect(listed.fixture.context.messages.ioError).toBe(1);
    expect(listed.lists.totals.entries).toBe(2);
  });

  it('is not an error when it has vanished, or only one attribute of it', async () => {
    const listed = await listWith({ f: { names: 2 } }, ['f']);
    expect([listed.messages, listed.lists.totals.entries]).toEqual([['4:file has vanished: "/f" (in m)\n'], 0]);
    expect(listed.fixture.context.messages.ioError).toBe(2);
  });

  it('takes what --relative would put below it along', async () => {
    const plan = { tree: { 'a/b/f': 'x', 'c/f': 'x' }, options: { relative: true } };
    for (const incRecurse of [false, true]) {
      const listed = await listWith({ a: { 'user.a': 13 } }, ['a/b/f', 'c/f'], { ...plan, incRecurse });
      while (!listed.lists.isComplete) await listed.lists.sendSubList();
      expect([incRecurse, listed.messages.length, listed.lists.totals.entries]).toEqual([incRecurse, 1, 2]);
    }
  });
});

describe('a default ACL', () => {
  it('is read of directories only', async () => {
    const table = { f: { [DEFAULT_ACL]: 13 }, d: { [DEFAULT_ACL]: KERNEL_ACL } };
    const options = { acls: true, xattrs: 0 };
    const listed = await listWith(table, ['f', 'd'], { tree: { f: 'x', 'd/': '' }, options });
    expect(hexOf(listed)).toContain(hex('00 1f 06 04 07 04 02 84d21e 01 10').toString('hex'));
    expect(listed.messages).toEqual([]);
  });
});
