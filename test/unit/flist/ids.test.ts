import { describe, expect, it } from 'vitest';
import { MentionedIds } from '../../../src/flist/ids.ts';
import { hex } from '../support/bytes.ts';
import { written } from '../support/streams.ts';

const NAMES = new Map([
  [0, Buffer.from('root')],
  [1, Buffer.from('daemon')],
  [70000, Buffer.from('far')],
]);

function listOf(ids: MentionedIds, protocol: number, sendsIdZero: boolean): Buffer {
  return written((writer) => ids.putList(writer, protocol, sendsIdZero));
}

function mentioning(names: ReadonlyMap<number, Buffer>, ...mentioned: number[]): MentionedIds {
  const ids = new MentionedIds(names);
  for (const id of mentioned) ids.firstMention(id);
  return ids;
}

describe('the trailing list of names', () => {
  it('is as captured at protocol 27, 30 and with names of id 0', () => {
    const ids = mentioning(NAMES, 0, 1, 1);
    expect(listOf(ids, 27, false)).toEqual(hex('01 00 00 00 06 "daemon" 00 00 00 00'));
    expect(listOf(ids, 30, false)).toEqual(hex('01 06 "daemon" 00'));
    expect(listOf(ids, 32, true)).toEqual(hex('01 06 "daemon" 00 04 "root"'));
  });

  it('leaves out ids without a name and ids that no entry has', () => {
    expect(listOf(mentioning(NAMES, 1234, 70000), 31, false)).toEqual(hex('c1 70 11 03 "far" 00'));
  });

  it('of a numeric module has no entries, but is there', () => {
    expect(listOf(mentioning(new Map(), 0, 1), 29, false)).toEqual(hex('00 00 00 00'));
    expect(listOf(mentioning(new Map(), 0, 1), 32, true)).toEqual(hex('00 00'));
  });
});

describe('firstMention', () => {
  it('gives a name once', () => {
    const ids = new MentionedIds(NAMES);
    expect([ids.firstMention(1), ids.firstMention(1), ids.firstMention(5)].map(String)).toEqual([
      'daemon',
      'null',
      'null',
    ]);
  });
});
