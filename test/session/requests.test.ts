/** Malformed requests of the transfer phase: indexes, item flags, extra names, sum heads, sums, deletion counts, goodbye. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { hasRoot } from '../setup/clients.ts';
import { BIG_SIZE, NDX, openStage, type Played, type Stage, type Verdict } from './support/stage.ts';
import {
  allDone,
  data,
  enter,
  ItemWriter,
  int32,
  NO_MORE_FILTERS,
  pullArguments,
  sumHead,
  TRANSFER,
  vstring,
  WHOLE_FILE,
} from './support/wire.ts';

/** What a client sends behind the file list, by protocol. */
type Requests = (items: ItemWriter, protocol: number) => readonly Uint8Array[];
type Case = readonly [title: string, requests: Requests];

const raw =
  (...bytes: number[]): Requests =>
  () => [Buffer.from(bytes)];

/** All are answered with "protocol error" and code 2. */
const INDEXES: readonly Case[] = [
  ['behind the list', (items) => [items.item(NDX.count, 0)]],
  ['far behind the list', (items) => [items.item(2 ** 30, 0)]],
  ['of 2147483647', (items) => [items.item(2 ** 31 - 1, 0)]],
  ['of -2, which only we send', (_items, protocol) => [protocol < 30 ? int32(-2) : Buffer.from([0xff, 0x01])]],
  ['of -4', (_items, protocol) => [protocol < 30 ? int32(-4) : Buffer.from([0xff, 0x03])]],
  ['of a sub-list', (_items, protocol) => [protocol < 30 ? int32(-101) : Buffer.from([0xff, 0x64])]],
  [
    'of -2147483647',
    (_items, protocol) => [protocol < 30 ? int32(-(2 ** 31) + 1) : Buffer.from([0xff, 0xfe, 0xff, 0xff, 0xff, 0xff])],
  ],
];

const transferOf =
  (ndx: number, ...rest: readonly Uint8Array[]): Requests =>
  (items) => [items.item(ndx, TRANSFER, ...rest)];

const PHASE_2: Requests = (items) => [items.done(), items.done(), items.item(NDX.file, TRANSFER, WHOLE_FILE)];

const MISUSES: readonly (readonly [title: string, requests: Requests, tells: RegExp])[] = [
  ['the transfer of a directory', transferOf(NDX.dir, WHOLE_FILE), /transfer of something that is no regular file/],
  ['the transfer of the root', transferOf(NDX.root, WHOLE_FILE), /transfer of something that is no regular file/],
  ['a transfer in phase 2', PHASE_2, /got transfer request in phase 2/],
  [
    'an extra name of 4096 bytes',
    (items) => [items.item(NDX.file, 0x1000, vstring('x'.repeat(4096)))],
    /extra name too long/,
  ],
  [
    'an extra name that announces 32767 bytes',
    (items) => [items.item(NDX.file, 0x1000, vstring('x', 0x7fff))],
    /extra name too long/,
  ],
];

const head = (...fields: [number, number, number, number]): Uint8Array => sumHead(...fields);

/** Sum heads that no protocol allows; MD5 and MD4 both have 16 bytes. */
const HEADS: readonly (readonly [title: string, head: Uint8Array, tells: RegExp])[] = [
  ['-1 blocks', head(-1, 700, 2, 0), /invalid block count/],
  ['-2147483648 blocks', head(-(2 ** 31), 700, 2, 0), /invalid block count/],
  ['a block length of -1', head(1, -1, 2, 0), /invalid block length/],
  ['a block length of 0', head(1, 0, 2, 0), /invalid block length/],
  ['a block length of 2^29 + 1', head(1, 2 ** 29 + 1, 2, 0), /invalid block length/],
  ['strong sums of -1 bytes', head(1, 700, -1, 0), /invalid strong sum length/],
  ['strong sums of 17 bytes', head(1, 700, 17, 0), /invalid strong sum length/],
  ['strong sums of 2147483647 bytes', head(1, 700, 2 ** 31 - 1, 0), /invalid strong sum length/],
  ['a remainder of -1', head(1, 700, 16, -1), /invalid block remainder/],
  ['a remainder longer than a block', head(1, 700, 16, 701), /invalid block remainder/],
  ['no blocks but strong sums of 17 bytes', head(0, 0, 17, 0), /invalid strong sum length/],
];

describe.skipIf(!hasRoot())('of requests, the daemon', { timeout: 20_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage();
  });
  afterAll(() => stage.close());
  afterEach(() => stage.expectHonestPull());

  function dialogue(requests: Requests, protocol: number, options: readonly string[] = []): Buffer {
    const sent = requests(new ItemWriter(protocol), protocol);
    const start = [enter('pub', protocol), pullArguments(options, protocol), data(protocol, NO_MORE_FILTERS)];
    return Buffer.concat([...start, data(protocol, ...sent)]);
  }

  async function play(requests: Requests, tells: RegExp, protocols: readonly number[], exit = 2): Promise<void> {
    for (const protocol of protocols) {
      const verdict: Verdict = { outcome: exit === 2 ? 'protocol' : expect.stringMatching(/^limit:/), tells, exit };
      await stage.expectVerdict({ protocol, send: dialogue(requests, protocol) }, verdict);
    }
  }

  it.each(INDEXES)('refuses an index %s', (_title, requests) =>
    play(
      requests,
      /^rsync: \[sender\] protocol error: (file-list index not in range|unexpected ndx -\d+)\n$/,
      [28, 29, 30, 31],
    ),
  );

  it.each(MISUSES)('refuses %s', (_title, requests, tells) => play(requests, tells, [29, 30, 31]));

  it('refuses the transfer of a directory below protocol 29 as well', () =>
    play((items) => [items.ndx(0), WHOLE_FILE], /transfer of something that is no regular file/, [27, 28]));

  it.each(HEADS)('refuses a sum head with %s', (_title, sums, tells) =>
    play(transferOf(NDX.file, sums), tells, [29, 30, 31]),
  );

  it('refuses block lengths above 131072 from protocol 30 on, and takes them below', async () => {
    await play(transferOf(NDX.file, head(1, 131_073, 2, 0)), /invalid block length/, [30, 31]);
    const { line } = await stage.play({
      protocol: 29,
      send: dialogue(transferOf(NDX.file, head(1, 131_073, 2, 0)), 29),
      ends: true,
    });
    expect(line).toMatchObject({ outcome: 'peer-gone', detail: 'connection closed while reading block sums' });
  });

  it('refuses a sum head of 2^30 blocks and takes one less', async () => {
    await play(transferOf(NDX.file, head(2 ** 30, 700, 2, 0)), /limit blockSumsRefused reached/, [29, 31], 12);
    const one = transferOf(NDX.file, head(2 ** 30 - 1, 700, 2, 0));
    const { line } = await stage.play({ send: dialogue(one, 31), ends: true });
    expect(line).toMatchObject({ outcome: 'peer-gone', detail: 'connection closed while reading block sums' });
  });

  it.each<[string, Requests]>([
    ['inside an index', raw(0xfe, 0x80)],
    ['inside item flags', (items) => [items.ndx(NDX.file), Buffer.from([0])]],
    ['before a basis type', (items) => [items.item(NDX.file, 0x0800)]],
    ['inside an extra name', (items) => [items.item(NDX.file, 0x1000, vstring('x', 50))]],
    ['inside a sum head', transferOf(NDX.file, WHOLE_FILE.subarray(0, 15))],
    ['inside the sums', transferOf(NDX.file, sumHead(2, 700, 16, 0), Buffer.alloc(30))],
    ['inside deletion counts', (items) => [items.deletionStats(), Buffer.from([0, 0])]],
    ['before the last phase', (items) => [items.done(), items.done()]],
    ['before the last goodbye', () => [allDone(31).subarray(1)]],
  ])('ends with a client that stops %s', async (_title, requests) => {
    const played = await stage.play({ send: dialogue(requests, 31), ends: true });
    expect(played.line).toMatchObject({ outcome: 'peer-gone', exit: 10 });
  });

  it.each<[string, Uint8Array]>([
    ['a count of 2^28 + 1', Buffer.from([0xf0, 0x01, 0x00, 0x00, 0x10, 0, 0, 0, 0])],
    ['a count of -1', Buffer.from([0xf0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])],
    ['a count of -2^31', Buffer.from([0, 0, 0, 0, 0xf0, 0, 0, 0, 0x80])],
    ['an overlong count', Buffer.from([0xf8, 0, 0, 0, 0, 0, 0, 0, 0])],
  ])('refuses deletion statistics with %s', (_title, counts) =>
    play((items) => [items.deletionStats(), counts], /deletion count( out of range|: overlong varint)\n$/, [31]),
  );

  it('refuses deletion statistics below protocol 31', () =>
    play((items) => [items.deletionStats(), Buffer.alloc(5)], /protocol error/, [29, 30]));

  it('refuses an index where the goodbye should be', () =>
    play(
      (items) => [items.done(), items.done(), items.done(), items.item(NDX.file, 0)],
      /unexpected ndx at the end/,
      [30, 31],
    ));

  /** A complete session at protocol 31 must end well. */
  async function complete(requests: Requests, options: readonly string[] = []): Promise<Played> {
    const all: Requests = (items, protocol) => [...requests(items, protocol), allDone(protocol)];
    const played = await stage.play({ send: dialogue(all, 31, options) });
    expect(played.line).toMatchObject({ outcome: 'ok', exit: 0 });
    expect(played.answer).toMatchObject({ messages: '', isWhole: true });
    return played;
  }

  it('echoes an extra name of 4095 bytes and every basis type', async () => {
    const name = vstring(`../../etc/passwd${'x'.repeat(4079)}`);
    const { answer } = await complete((items) => [items.item(NDX.file, 0x1800, Buffer.from([0x83]), name)]);
    expect(answer.data.includes(Buffer.concat([Buffer.from([0x00, 0x18, 0x83]), name]))).toBe(true);
  });

  it('echoes deletion counts of 2^28', async () => {
    const most = Buffer.from([0xf0, 0, 0, 0, 0x10]);
    const { answer } = await complete((items) => [items.deletionStats(), ...Array<Buffer>(5).fill(most)]);
    expect(answer.data.includes(Buffer.concat([Buffer.from([0xff, 0x02]), ...Array<Buffer>(5).fill(most)]))).toBe(true);
  });

  it('takes a whole-file request however odd the rest of its head is', async () => {
    const { answer } = await complete(transferOf(NDX.big, sumHead(0, 32_768, 2, 0)));
    expect(answer.data.length).toBeGreaterThan(BIG_SIZE);
  });

  it('ignores what a client sends behind its goodbye', async () => {
    await complete(() => [], []);
    const send = Buffer.concat([dialogue(() => [allDone(31)], 31), Buffer.alloc(1000, 0xff)]);
    expect((await stage.play({ send })).line).toMatchObject({ outcome: 'ok' });
  });

  it('writes one line about each of the sessions above, and no other', () => stage.expectOneLinePerSession());
});
