/** Malformed input between the arguments and the file list: negotiation lists, filter list, --files-from. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { hasRoot } from '../setup/clients.ts';
import { openStage, type Stage, type Verdict } from './support/stage.ts';
import {
  argumentList,
  data,
  enter,
  filterRecord,
  int32,
  NO_MORE_FILTERS,
  pullArguments,
  vstring,
} from './support/wire.ts';

const NEGOTIATING = ['--server', '--sender', '-re.LsfxCIvu', '.', 'pub/'];
const GONE: Verdict = { outcome: 'peer-gone', tells: null };

type ListCase = readonly [title: string, list: Buffer, verdict: Verdict];

/** Nothing can be told here: the client still expects our side of the negotiation. */
const NAME_LISTS: readonly ListCase[] = [
  ['longer than 255 bytes', vstring('x'.repeat(256)), { outcome: 'protocol', tells: null }],
  ['that announces 32767 bytes', vstring('md5', 0x7fff), { outcome: 'protocol', tells: null }],
  ['of names that we do not have', vstring('crc32 blake3'), { outcome: 'protocol', tells: null }],
  ['that is empty', vstring(''), { outcome: 'protocol', tells: null }],
  ['that says INVALID', vstring('INVALID'), { outcome: 'protocol', tells: null }],
  ['of control bytes', vstring('\0\x1b\n'), { outcome: 'protocol', tells: null }],
];

type FilterCase = readonly [title: string, records: readonly Buffer[], verdict: Verdict];

const limit = (name: string, exit = 12): Verdict => ({
  outcome: `limit:${name}`,
  tells: new RegExp(`^rsync: \\[sender\\] limit ${name} reached: [^\\n]*\\n$`),
  exit,
});
const badRule = (text: RegExp): Verdict => ({ outcome: 'filter-rule', tells: text, exit: 1 });

const LENGTHS: readonly FilterCase[] = [
  ['5120', [int32(5120)], limit('filterRecordBytes', 22)],
  ['-1', [int32(-1)], limit('filterRecordBytes', 22)],
  ['-2147483648', [int32(-(2 ** 31))], limit('filterRecordBytes', 22)],
  ['2147483647', [int32(2 ** 31 - 1)], limit('filterRecordBytes', 22)],
];

const PATTERNS: readonly FilterCase[] = [
  ['a pattern of 4096 bytes', [filterRecord(`- ${'x'.repeat(4096)}`)], limit('filterPatternBytes')],
  ['10 001 rules', Array<Buffer>(10_001).fill(filterRecord('- x')), limit('filterRules')],
  ['more than 1 MiB of rules', Array<Buffer>(300).fill(filterRecord(`- ${'y'.repeat(4000)}`)), limit('filterBytes')],
];

/** Syntax that only modern protocols have; below 29 any record is a pattern. */
const RULES: readonly FilterCase[] = [
  ['of an unknown type', [filterRecord('? x')], badRule(/^Unknown filter rule: \? x\n$/)],
  ['with an unknown modifier', [filterRecord('-Z x')], badRule(/invalid modifier 'Z'/)],
  ['without a pattern', [filterRecord('-')], badRule(/unexpected end of filter rule/)],
  ['that clears and goes on', [filterRecord('! x')], badRule(/'!' rule has trailing characters/)],
  [
    'of control bytes, which it shows escaped',
    [filterRecord('\x1b[2J\n')],
    badRule(/^Unknown filter rule: \\#033\[2J\\#012\n$/),
  ],
];

describe.skipIf(!hasRoot())('behind the arguments, the daemon', { timeout: 20_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage();
  });
  afterAll(() => stage.close());
  afterEach(() => stage.expectHonestPull());

  it.each(NAME_LISTS)('closes over a checksum list %s', async (_title, list, verdict) => {
    await stage.expectVerdict({ send: Buffer.concat([enter('pub'), argumentList(NEGOTIATING), list]) }, verdict);
  });

  it('closes over a checksum list that ends too soon', async () => {
    const send = Buffer.concat([enter('pub'), argumentList(NEGOTIATING), vstring('md5', 100)]);
    await stage.expectVerdict({ send, ends: true }, GONE);
  });

  /** Plays the records at each protocol. */
  async function play(records: readonly Buffer[], verdict: Verdict, protocols: readonly number[]): Promise<void> {
    for (const protocol of protocols) {
      const list = [...records, NO_MORE_FILTERS].map((record) => data(protocol, record));
      const send = Buffer.concat([enter('pub', protocol), pullArguments([], protocol), ...list]);
      await stage.expectVerdict({ protocol, send }, verdict);
    }
  }

  it.each(LENGTHS)('refuses a filter rule of length %s', (_title, records, verdict) =>
    play(records, verdict, [27, 30, 31]),
  );

  it.each(PATTERNS)('refuses %s', (_title, records, verdict) => play(records, verdict, [27, 31]));

  it.each(RULES)('refuses a filter rule %s', (_title, records, verdict) => play(records, verdict, [29, 30, 31]));

  it('takes a record of nothing but NUL bytes for no rule', async () => {
    const records = [filterRecord('\0\0\0'), NO_MORE_FILTERS].map((record) => data(31, record));
    const { line } = await stage.play({ send: Buffer.concat([enter('pub'), pullArguments(), ...records]), ends: true });
    expect(line).toMatchObject({ outcome: 'peer-gone', detail: 'connection closed while reading ndx' });
  });

  it.each([
    ['inside a length', int32(4).subarray(0, 2)],
    ['inside a rule', filterRecord('- x', 100)],
    ['without an end mark', filterRecord('- x')],
  ])('ends with a client whose filter list stops %s', async (_title, list) => {
    const send = Buffer.concat([enter('pub'), pullArguments(), data(31, list)]);
    await stage.expectVerdict({ send, ends: true }, GONE);
  });

  describe('of --files-from', () => {
    const arguments_ = (protocol: number) => pullArguments(['--files-from=-', '--from0'], protocol);
    const dialogue = (protocol: number, names: Buffer, filters = data(protocol, NO_MORE_FILTERS)) => ({
      protocol,
      send: Buffer.concat([enter('pub', protocol), arguments_(protocol), filters, names]),
    });
    const TOO_LONG: Verdict = { outcome: 'protocol', tells: /protocol error: files-from name too long\n$/, exit: 2 };

    it('refuses a name of 4096 bytes', async () => {
      const name = Buffer.from(`${'n'.repeat(4096)}\0\0`);
      await stage.expectVerdict(dialogue(29, name), TOO_LONG);
      await stage.expectVerdict(dialogue(30, name), TOO_LONG);
      await stage.expectVerdict(dialogue(31, data(31, name)), TOO_LONG);
    });

    it('refuses a name that never ends', async () => {
      await stage.expectVerdict(dialogue(31, data(31, Buffer.alloc(100_000, 'n'))), TOO_LONG);
    });

    it('ends with a client whose names stop', async () => {
      await stage.expectVerdict({ ...dialogue(31, data(31, Buffer.from('file\0fi'))), ends: true }, GONE);
      await stage.expectVerdict({ ...dialogue(29, Buffer.from('file\0')), ends: true }, GONE);
    });

    it('refuses names inside frames at protocol 30, where they travel outside', async () => {
      const filters = data(30, NO_MORE_FILTERS, Buffer.from('file\0\0'));
      const verdict: Verdict = {
        outcome: 'protocol',
        tells: /data behind the filter list where raw names should be\n$/,
      };
      await stage.expectVerdict(dialogue(30, Buffer.alloc(0), filters), verdict);
    });

    it('refuses two sources', async () => {
      const args = pullArguments(['--files-from=-', '--from0'], 31, ['pub/a', 'pub/b']);
      const send = Buffer.concat([enter('pub'), args, data(31, NO_MORE_FILTERS), data(31, Buffer.from('x\0\0'))]);
      await stage.expectVerdict({ send }, { outcome: 'usage', tells: /--files-from takes one source\n$/, exit: 1 });
    });

    it.each([
      ['is missing', 'nothing'],
      ['is a directory', 'dir'],
      ['lies outside, by climbing', '../../../etc/passwd'],
      ['lies outside, by its name', '/etc/passwd'],
    ])('refuses a file on our side that %s', async (_title, file) => {
      const send = Buffer.concat([enter('pub'), pullArguments(['--files-from', file]), data(31, NO_MORE_FILTERS)]);
      await stage.expectVerdict(
        { send },
        { outcome: 'usage', tells: /^failed to open files-from file: [A-Z]/, exit: 4 },
      );
    });
  });

  it('writes one line about each of the sessions above, and no other', () => stage.expectOneLinePerSession());
});
