import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadChecksums } from '../../../src/checksum/pool.ts';
import { ProtocolError } from '../../../src/errors.ts';
import { FileLists } from '../../../src/flist/lists.ts';
import { parseSourceArgument } from '../../../src/flist/source-argument.ts';
import type { TransferContext } from '../../../src/transfer/context.ts';
import { putXattrReply, readXattrRequest } from '../../../src/transfer/xattr-reply.ts';
import { cleanUp, makeTree } from '../flist/list-fixture.ts';
import { type AttributeTable, viewWithAttributes } from '../support/attribute-view.ts';
import { dataOf, hex, messagesOf } from '../support/bytes.ts';
import { type ContextPlan, makeSession } from '../support/session-context.ts';
import { readerOf } from '../support/streams.ts';

beforeAll(loadChecksums);
afterEach(cleanUp);

const REPORT = 0x0100;
const NEW_FILE = 0xa100;
/** Made by the client itself from another name: bits 0x1000 and 0x4000. */
const LINKED = 0x7100;

const BIG = 'B'.repeat(100);
/** The list of `f`: user.big, user.small, user.zbig. */
const TABLE: AttributeTable = { f: { 'user.zbig': 'Z'.repeat(64), 'user.small': 'tiny', 'user.big': BIG } };

interface Answer {
  /** null where the item carries no list. */
  readonly reply: Buffer | null;
  readonly messages: string[];
  /** Bytes of the request that were read. */
  readonly bytesRead: number;
}

interface Asked {
  readonly request: string;
  readonly iflags?: number;
  readonly ndx?: number;
  readonly tree?: Record<string, string>;
  readonly args?: readonly string[];
  readonly table?: AttributeTable;
  /** Changes the table between list and request. */
  readonly meanwhile?: (table: AttributeTable) => void;
  readonly plan?: Partial<ContextPlan>;
}

/** Lists a module, then answers one request about an entry of it. */
async function answer(asked: Asked): Promise<Answer> {
  const { iflags = NEW_FILE, ndx = 0, tree = { f: 'x' }, args = ['f'], plan = {} } = asked;
  const table = structuredClone(asked.table ?? TABLE);
  const options = { xattrs: 1, ...plan.options };
  const fixture = await makeSession({ root: makeTree(tree), makeView: viewWithAttributes(table), ...plan, options });
  try {
    const lists = new FileLists(fixture.context);
    await lists.sendFirst(
      args.map((text) => parseSourceArgument(Buffer.from(text), options.relative ?? false)),
      args.length > 1,
    );
    while (!lists.isComplete) await lists.sendSubList();
    const before = fixture.sent().length;
    asked.meanwhile?.(table);
    const reader = readerOf(hex(asked.request));
    const context: TransferContext = await fixture.forTransfer(lists, { reader });
    const request = await readXattrRequest(context, iflags, lists.find(ndx));
    await putXattrReply(context, request);
    const sent = fixture.sent().subarray(before);
    return {
      reply: request === null ? null : dataOf(sent),
      messages: messagesOf(sent),
      bytesRead: reader.bytesRead - reader.available,
    };
  } finally {
    fixture.close();
  }
}

describe('a request for values', () => {
  it('is answered as captured (3-transfer.md 2.4)', async () => {
    const { reply, bytesRead } = await answer({ request: '01 02 00' });
    expect(reply).toEqual(hex(`01 64 "${BIG}" | 02 40 "${'Z'.repeat(64)}" | 00`));
    expect(bytesRead).toBe(3);
  });

  it('of none is answered with none', async () => {
    expect((await answer({ request: '00' })).reply).toEqual(hex('00'));
    expect((await answer({ request: '00', table: {} })).reply).toEqual(hex('00'));
  });

  it('may go backwards; the answer goes forwards', async () => {
    // -2 as a varint.
    const { reply } = await answer({ request: '03 | f0feffffff | 00' });
    expect(reply).toEqual(hex(`01 64 "${BIG}" | 02 40 "${'Z'.repeat(64)}" | 00`));
  });

  it.each([
    ['a value that stood in the list', '02 00'],
    ['a place behind the list', '04 00'],
    ['a place before the list', 'f0ffffffff 00'],
    ['the same value twice', '01 02 f0feffffff 00'],
  ])('for %s is an error', async (_, request) => {
    await expect(answer({ request })).rejects.toThrow(ProtocolError);
  });

  it('of an entry without long values is an error', async () => {
    await expect(answer({ request: '01 00', table: { f: { 'user.a': 'short' } } })).rejects.toThrow(ProtocolError);
  });

  it('finds a directory by the index of its own list', async () => {
    const table = { '.': { 'user.root': BIG }, d: { 'user.dir': 'D'.repeat(33) }, 'd/f': {} };
    const shared = { tree: { 'd/f': 'x' }, args: ['.'], table, request: '01 00', plan: { incRecurse: true } };
    expect((await answer({ ...shared, ndx: 0 })).reply).toEqual(hex(`01 64 "${BIG}" 00`));
    expect((await answer({ ...shared, ndx: 2 })).reply).toEqual(hex(`01 21 "${'D'.repeat(33)}" 00`));
    // The list of `d` starts at 4: the first list has two entries, and its start is 1.
    expect((await answer({ ...shared, ndx: 3 })).reply).toEqual(hex(`01 21 "${'D'.repeat(33)}" 00`));
  });

  it('finds an implied directory behind a link', async () => {
    const asked = { tree: { 'real/sub/f': 'x', link: '-> real' }, args: ['link/sub/f'], request: '01 00' };
    const table = { 'real/sub': { 'user.sub': BIG } };
    const { reply } = await answer({ ...asked, ndx: 1, table, plan: { options: { relative: true } } });
    expect(reply).toEqual(hex(`01 64 "${BIG}" 00`));
  });
});

describe('values that changed since they were listed', () => {
  it('are sent as they are now', async () => {
    const meanwhile = (table: AttributeTable) => {
      table.f = { 'user.aaa': 'new', 'user.big': 'short now' };
    };
    expect((await answer({ request: '01 00', meanwhile })).reply).toEqual(hex('01 09 "short now" 00'));
  });

  it.each([
    ['is gone', {}, 'No data available (61)'],
    ['cannot be read any more', { 'user.big': 13 }, 'Permission denied (13)'],
  ])('are sent empty, with a message, when one %s', async (_, attributes, reason) => {
    const meanwhile = (table: AttributeTable) => {
      table.f = attributes;
    };
    const { reply, messages } = await answer({ request: '01 00', meanwhile });
    expect(reply).toEqual(hex('01 00 00'));
    expect(messages).toEqual([
      `1:rsync: [sender] get_xattr_data: lgetxattr("/f" (in m),"user.big",0) failed: ${reason}\n`,
    ]);
  });
});

describe('an item', () => {
  const carries = async (iflags: number, plan: Partial<ContextPlan> = {}) =>
    (await answer({ request: '00', iflags, plan })).reply !== null;

  it('carries values only when it reports attributes, with -X and not in a dry run', async () => {
    expect(await carries(REPORT)).toBe(true);
    expect(await carries(0xa000)).toBe(false);
    expect(await carries(NEW_FILE, { options: { dryRun: true } })).toBe(false);
    expect(await carries(NEW_FILE, { options: { xattrs: 0, acls: true } })).toBe(false);
  });

  it('of a hard link that the client made carries none from protocol 31, unless the client asked for it', async () => {
    const AVOID = 0x10;
    const flags = 0x188;
    expect(await carries(LINKED, { compatFlags: flags | AVOID })).toBe(true);
    expect(await carries(LINKED, { compatFlags: flags })).toBe(false);
    expect(await carries(LINKED, { compatFlags: flags, protocol: 31 })).toBe(false);
    expect(await carries(LINKED, { compatFlags: 8, protocol: 30 })).toBe(true);
    for (const half of [0x1100, 0x4100]) expect(await carries(half, { compatFlags: flags })).toBe(true);
  });
});
