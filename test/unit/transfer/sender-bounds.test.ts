/** What a hostile client can ask of the transfer phase, and where it ends (security.md A, B-19, B-20). */

import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadChecksums } from '../../../src/checksum/pool.ts';
import { LimitError, PeerGone, ProtocolError } from '../../../src/errors.ts';
import { Sender } from '../../../src/transfer/sender.ts';
import { NdxEncoder } from '../../../src/wire/ndx.ts';
import { cleanUp, type Listed, list, makeTree } from '../flist/list-fixture.ts';
import { dataOf, hex, messagesOf } from '../support/bytes.ts';
import type { ContextPlan } from '../support/session-context.ts';
import { readerOf } from '../support/streams.ts';

beforeAll(loadChecksums);
afterEach(cleanUp);

const TREE = { f: 'content', 'd/g': 'deep' };
/** Indexes of `.` f d d/g in one list. */
const F = 1;
const D = 2;
const WHOLE = '00'.repeat(16);

/** Requests as protocol 30 and up writes them. */
function requests(...items: readonly (readonly [ndx: number, rest: string])[]): Buffer {
  const encoder = new NdxEncoder(31);
  return Buffer.concat(
    items.map(([ndx, rest]) => {
      const buf = Buffer.alloc(6);
      return Buffer.concat([buf.subarray(0, encoder.encode(buf, 0, ndx)), hex(rest)]);
    }),
  );
}

const DONE = [-1, ''] as const;

interface Outcome {
  readonly error: unknown;
  readonly listed: Listed;
  /** Data sent behind the file list. */
  readonly answers: Buffer;
}

/** Runs the transfer phase over what a client sends. */
async function run(
  client: Buffer,
  plan: Partial<ContextPlan> = {},
  args = ['.'],
  tree: Readonly<Record<string, string>> = TREE,
): Promise<Outcome> {
  const listed = await list(makeTree(tree), args, plan);
  const { fixture, lists } = listed;
  while (!lists.isComplete) await lists.sendSubList();
  const before = dataOf(fixture.sent()).length;
  const context = await fixture.forTransfer(lists, { reader: readerOf(client) });
  const error = await new Sender(context).run().then(
    () => null,
    (thrown: unknown) => thrown,
  );
  context.sums.release();
  return { error, listed, answers: dataOf(fixture.sent()).subarray(before) };
}

const INC: Partial<ContextPlan> = { incRecurse: true };

describe('indexes', () => {
  it.each([4, 5, 1000, 2 ** 31 - 1])('outside a single list are refused: %i', async (ndx) => {
    expect((await run(requests([ndx, '0080']))).error).toBeInstanceOf(ProtocolError);
    expect((await run(requests([ndx, '0000']))).error).toBeInstanceOf(ProtocolError);
  });

  it.each([-2, -4, -101, -102, -(2 ** 31) + 1])('below zero are refused: %i', async (ndx) => {
    expect((await run(requests([ndx, '0080']))).error).toBeInstanceOf(ProtocolError);
  });

  it('0 is refused with incremental recursion when no `.` was listed', async () => {
    expect((await run(requests([0, '0000']), INC, ['f'])).error).toBeInstanceOf(ProtocolError);
    expect((await run(requests([0, '0800']), INC)).answers).toEqual(hex('01 0800'));
  });

  it('of a released list are refused', async () => {
    const { error, answers } = await run(requests(DONE, [2, '0000']), INC);
    expect(error).toBeInstanceOf(ProtocolError);
    expect(answers).toEqual(hex('00'));
  });

  it('of a directory are refused for a transfer', async () => {
    expect((await run(requests([D, `00a0${WHOLE}`]))).error).toBeInstanceOf(ProtocolError);
    expect((await run(requests([4, `00a0${WHOLE}`]), INC)).error).toBeInstanceOf(ProtocolError);
  });
});

describe('requests for one file', () => {
  const once = [F, `00a0${WHOLE}`] as const;

  it('are answered twice, not three times', async () => {
    const { error, answers } = await run(requests(once, once, once));
    expect(error).toBeInstanceOf(LimitError);
    expect((error as LimitError).limit).toBe('sendsPerFile');
    expect(answers.toString('latin1').split('content').length - 1).toBe(2);
  });

  it('are refused in the last phase', async () => {
    const { error, answers } = await run(requests(DONE, DONE, once));
    expect(String(error)).toContain('got transfer request in phase 2');
    expect(answers).toEqual(hex('00 00'));
  });

  it('with broken heads are refused before the file is opened', async () => {
    const heads = [
      'ffffffff bc020000 02000000 00000000',
      '01000000 00000000 10000000 00000000',
      '01000000 01000200 10000000 00000000',
      '01000000 bc020000 11000000 00000000',
      '01000000 bc020000 ffffffff 00000000',
      '01000000 bc020000 10000000 bd020000',
      '01000000 bc020000 10000000 ffffffff',
    ];
    for (const head of heads) {
      const { error, answers } = await run(requests([F, `00a0${head}`]));
      expect(error, head).toBeInstanceOf(ProtocolError);
      expect(answers.length).toBe(0);
    }
  });

  it('with 2^30 sums or more are refused, with many they are read but not kept', async () => {
    const tooMany = await run(requests([F, '00a0 00000040 bc020000 02000000 00000000']));
    expect((tooMany.error as LimitError).limit).toBe('blockSumsRefused');
    const many = await run(requests([F, '00a0 ffffff3f bc020000 02000000 00000000 0102']));
    expect(many.error).toBeInstanceOf(PeerGone);
  });
});

describe('reports', () => {
  const report = (ndx: number, count: number) =>
    requests(...Array.from({ length: count }, () => [ndx, '0800'] as const));

  it('of one entry are echoed four times, not five', async () => {
    const { error, answers } = await run(report(F, 5));
    expect((error as LimitError).limit).toBe('reportsPerFile');
    expect(answers).toEqual(report(F, 4));
  });

  it('of a list’s own directory are counted as well', async () => {
    for (const ndx of [0, 4]) {
      const { error, answers } = await run(report(ndx, 5), INC);
      expect((error as LimitError).limit).toBe('reportsPerFile');
      expect(answers).toEqual(report(ndx, 4));
    }
  });

  it('with names of paths only return the name', async () => {
    const { answers, listed } = await run(requests([F, '0010 10 "../../etc/passwd"']));
    expect(answers).toEqual(hex('02 0010 10 "../../etc/passwd"'));
    expect(messagesOf(listed.fixture.sent())).toEqual([]);
  });
});

describe('deletion counts', () => {
  it('are refused below protocol 31', async () => {
    const { error } = await run(hex('ff02 0000000000'), { protocol: 30 });
    expect(error).toBeInstanceOf(ProtocolError);
  });

  it('out of range are refused', async () => {
    expect((await run(requests([-3, 'f0ffffffff']))).error).toBeInstanceOf(ProtocolError);
  });
});

describe('the content of a session', () => {
  it('contentPerListedByte and contentBaseBytes let N - 1 and N pass and end the session at N + 1', async () => {
    const asked = async (size: number) => {
      const limits = { contentPerListedByte: 1, contentBaseBytes: 50 };
      const client = requests([F, `00a0 ${WHOLE}`], [F, `00a0 ${WHOLE}`], DONE, DONE, DONE, DONE, DONE);
      return (await run(client, { limits }, ['.'], { f: 'x'.repeat(size) })).error;
    };
    expect([await asked(49), await asked(50)]).toEqual([null, null]);
    expect(await asked(51)).toMatchObject({ code: 'limit:contentPerListedByte', limit: 'contentPerListedByte' });
  });
});

describe('the goodbye', () => {
  it('goodbyeItems lets N - 1 and N items pass, the end included, and refuses one more', async () => {
    const limits = { goodbyeItems: 3 };
    const counts = (count: number) => Array.from({ length: count }, () => [-3, '00'.repeat(5)] as const);
    const said = async (count: number) =>
      (await run(requests(DONE, DONE, DONE, ...counts(count - 1), DONE, DONE), { limits })).error;
    expect([await said(2), await said(3)]).toEqual([null, null]);
    expect(await said(4)).toMatchObject({ limit: 'goodbyeItems' });
  });

  it('takes nothing but an end', async () => {
    const { error } = await run(requests(DONE, DONE, DONE, [F, '0000']));
    expect(String(error)).toContain('unexpected ndx');
  });

  it('is over only after the client’s last word', async () => {
    expect((await run(requests(DONE, DONE, DONE, DONE))).error).toBeInstanceOf(PeerGone);
    expect((await run(requests(DONE, DONE, DONE, DONE, DONE))).error).toBeNull();
    expect((await run(requests(DONE, DONE, DONE, DONE), { protocol: 30 })).error).toBeNull();
  });
});

describe('protocol 29', () => {
  it('knows a keep-alive that looks like a request, and does not echo it', async () => {
    const { error, answers } = await run(hex('04000000 0020 | ffffffff'), { protocol: 29 });
    expect(error).toBeInstanceOf(PeerGone);
    expect(answers).toEqual(hex('ffffffff'));
  });
});
