import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { LimitError } from '../../../src/errors.ts';
import {
  chosenNames,
  NO_XATTRS,
  type XattrChoice,
  XattrEncoder,
  type XattrList,
  XattrListBuilder,
} from '../../../src/flist/xattrs.ts';
import { DEFAULT_LIMITS, type Limits } from '../../../src/limits.ts';
import { hex } from '../support/bytes.ts';
import { written } from '../support/streams.ts';
import { errnoOf } from '../vfs/view-fixture.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

function listOf(values: Readonly<Record<string, string>>, limits: Partial<Limits> = {}): XattrList {
  const builder = new XattrListBuilder({ ...DEFAULT_LIMITS, ...limits });
  for (const [name, value] of Object.entries(values)) builder.add(bytes(name), bytes(value));
  return builder.finish();
}

function rules(hidden: readonly string[] | null): XattrChoice['scope'] {
  return {
    hasXattrRules: hidden !== null,
    hidesXattr: (name) => hidden?.includes(name.toString('latin1')) ?? false,
  };
}

function chosen(
  names: readonly string[],
  choice: { level?: number; client?: string[]; module?: string[] } = {},
): string[] {
  const { level = 1, client = null, module = null } = choice;
  const found = chosenNames(names.map(bytes), { level, scope: rules(client), filter: rules(module) });
  return found.map((name) => name.toString('latin1'));
}

describe('the names to send', () => {
  const ALL = [
    'user.b',
    'user.a',
    'trusted.t',
    'security.s',
    'system.posix_acl_access',
    'user.rsync.%stat',
    'user.rsync.x',
  ];

  it('are all but those of `system.` and what rsync keeps for itself, in the order of their bytes', () => {
    expect(chosen(ALL)).toEqual(['security.s', 'trusted.t', 'user.a', 'user.b', 'user.rsync.x']);
    expect(chosen(['user.\xe4', 'user.z', 'user.Z', 'user.'])).toEqual(['user.', 'user.Z', 'user.z', 'user.\xe4']);
  });

  it("include rsync's own with XX", () => {
    expect(chosen(['user.rsync.%stat', 'system.x'], { level: 2 })).toEqual(['user.rsync.%stat']);
  });

  it('are what the rules leave, once there are any, `system.` included', () => {
    expect(chosen(ALL, { client: ['user.a'] })).toEqual([
      'security.s',
      'system.posix_acl_access',
      'trusted.t',
      'user.b',
      'user.rsync.x',
    ]);
  });

  it("never include what the module's rules hide", () => {
    expect(chosen(['user.a', 'user.b'], { client: ['user.b'], module: ['user.a'] })).toEqual([]);
    expect(chosen(['user.a', 'user.b'], { module: ['user.a'] })).toEqual(['user.b']);
  });
});

describe('a list', () => {
  const md5 = (text: string) => createHash('md5').update(text).digest('hex');

  it('is written as captured (2-file-list.md 10.6)', () => {
    const { literal } = listOf({ 'user.big': 'B'.repeat(100), 'user.small': 'hello' });
    expect(literal).toEqual(
      hex('02 | 09 64 "user.big" 00 f9d3f4663bd9484b57c66d0e7f16dfa8 | 0b 05 "user.small" 00 "hello"'),
    );
  });

  it('holds values up to 32 bytes and the sums of longer ones', () => {
    const { literal, abbreviated } = listOf({ a: 'E'.repeat(32), b: 'E'.repeat(33), c: '' });
    expect(literal).toEqual(
      hex(`03 | 02 20 "a" 00 "${'E'.repeat(32)}" | 02 21 "b" 00 ${md5('E'.repeat(33))} | 02 00 "c" 00`),
    );
    expect([...abbreviated]).toEqual([[2, bytes('b')]]);
  });

  it('gives lengths as varints', () => {
    const { literal } = listOf({ ['n'.repeat(200)]: 'v'.repeat(65_536) });
    expect(literal).toEqual(hex(`01 | 80c9 c10000 | "${'n'.repeat(200)}" 00 ${md5('v'.repeat(65_536))}`));
  });

  it('without attributes is a count of 0', () => {
    expect(listOf({})).toBe(NO_XATTRS);
    expect(NO_XATTRS.literal).toEqual(hex('00'));
  });

  it('ends where the values of one entry become too many', () => {
    const most = listOf({ a: '123', b: '45' }, { xattrEntryBytes: 5 });
    expect(most.literal).toEqual(hex('02 | 02 03 "a" 00 "123" | 02 02 "b" 00 "45"'));
    expect(errnoOf(() => listOf({ a: '123', b: '456' }, { xattrEntryBytes: 5 }))).toBe(7);
  });
});

describe('XattrEncoder', () => {
  function encode(lists: readonly XattrList[], limits: Partial<Limits> = {}) {
    const ids: number[] = [];
    let encoder: XattrEncoder | null = null;
    const output = written((writer) => {
      encoder = new XattrEncoder(writer, { ...DEFAULT_LIMITS, ...limits });
      for (const list of lists) ids.push(encoder.put(list));
    });
    return { output, ids, namesOf: (id: number) => [...encoder!.abbreviated(id)] };
  }

  const BIG = 'x'.repeat(40);

  it('refers to equal lists by index, the empty one too', () => {
    const a = listOf({ a: '1' });
    expect(encode([NO_XATTRS, a, NO_XATTRS, listOf({ a: '1' }), listOf({ a: '2' })]).output).toEqual(
      hex('00 00 | 00 01 02 01 "a" 00 "1" | 01 | 02 | 00 01 02 01 "a" 00 "2"'),
    );
  });

  it('remembers the names of abbreviated values, equal sets once', () => {
    const lists = [
      listOf({ a: '1' }),
      listOf({ a: '1', b: BIG }),
      listOf({ a: '2', b: `${BIG}y` }),
      listOf({ b: BIG }),
    ];
    const { ids, namesOf } = encode(lists);
    expect(ids).toEqual([0, 1, 1, 2]);
    expect([namesOf(0), namesOf(1), namesOf(2)]).toEqual([[], [[2, bytes('b')]], [[1, bytes('b')]]]);
  });

  it('ends the session when the names to remember become too many', () => {
    const limits = { xattrNameBytes: 20 };
    expect(encode([listOf({ a: BIG }), listOf({ b: BIG })], limits).ids).toEqual([1, 2]);
    expect(() => encode([listOf({ a: BIG }), listOf({ b: BIG }), listOf({ c: BIG })], limits)).toThrow(LimitError);
  });
});
