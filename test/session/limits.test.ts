/** Bounds of limits.ts that a peer can reach, each lowered to N and met at N - 1, N and N + 1; the metric counts the last alone. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LimitName } from '../../src/limits.ts';
import { makeTree, type TreeEntry } from '../helpers/tree.ts';
import { hasRoot } from '../setup/clients.ts';
import { limitHitsOf, MONITORED } from './support/limit-hits.ts';
import { openStage, type Stage } from './support/stage.ts';
import {
  allDone,
  argumentList,
  data,
  enter,
  filterRecord,
  frame,
  ItemWriter,
  NO_MORE_FILTERS,
  pullArguments,
  TRANSFER,
  WHOLE_FILE,
} from './support/wire.ts';

/** Bounds that end a session with their own name. All are above what the honest pull between the tests needs. */
const N = {
  args: 12,
  argBytes: 60,
  argsTotalBytes: 300,
  globPatterns: 3,
  globDirents: 30,
  globResults: 12,
  filterRules: 6,
  filterBytes: 200,
  filterRecordBytes: 80,
  filterPatternBytes: 40,
  mergeFileBytes: 30,
  mergeDepth: 3,
  mergeRules: 4,
  entries: 40,
  hardLinks: 4,
  filesFromNames: 4,
  filesFromBytes: 40,
  sendsPerFile: 2,
  reportsPerFile: 3,
  messagesPerSecond: 50,
} as const;

type Name = keyof typeof N;

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const around = (name: Name): number[] => [N[name] - 1, N[name], N[name] + 1];
const repeat = (count: number, bytes: Buffer): Buffer => Buffer.concat(Array<Buffer>(count).fill(bytes));

/** Directories and files whose number or size is the bound's. */
const BOUNDS: readonly TreeEntry[] = [
  ...range(4).map((number) => ({ name: `few/${number}`, content: '' })),
  ...around('globDirents').flatMap((count) => range(count).map((number) => ({ name: `dirents${count}/${number}` }))),
  ...around('globResults').flatMap((count) => range(count).map((number) => ({ name: `results${count}/${number}` }))),
  // The directory itself is an entry, too.
  ...around('entries').flatMap((count) => range(count - 1).map((number) => ({ name: `entries${count}/${number}` }))),
  ...around('hardLinks').flatMap((count) =>
    range(count).flatMap((group) => [
      { name: `links${count}/${group}`, content: '' },
      { name: `links${count}/${group}b`, linkTo: `links${count}/${group}` },
    ]),
  ),
  ...around('filesFromBytes').map((size) => ({ name: `names${size}`, content: 'few/1\n'.padEnd(size, '#') })),
  ...around('mergeFileBytes').map((size) => ({
    name: `rules${size}`,
    content: '# '.padEnd(size - 1, 'x').concat('\n'),
  })),
  { name: 'two/2/file', content: '' },
  { name: 'three/2/3/file', content: '' },
  { name: 'four/2/3/4/file', content: '' },
  { name: 'nest1', content: '- x\n' },
  ...[2, 3, 4].map((depth) => ({ name: `nest${depth}`, content: `. nest${depth - 1}\n` })),
];

interface Request {
  readonly options?: readonly string[];
  readonly paths?: readonly string[];
  readonly filters?: readonly Buffer[];
  /** Between the filter list and the goodbye. */
  readonly rest?: readonly Buffer[];
}

/** A complete session that ends well unless a bound stops it. */
function session({ options = [], paths = ['few/'], filters = [], rest = [] }: Request): Buffer {
  const list = pullArguments(
    options,
    31,
    paths.map((path) => `bounds/${path}`),
  );
  return Buffer.concat([enter('bounds'), list, data(31, ...filters, NO_MORE_FILTERS), ...rest, data(31, allDone())]);
}

const rules = (count: number, rule: string): Buffer[] => Array<Buffer>(count).fill(filterRecord(rule));
const items = (count: number, item: (writer: ItemWriter) => Buffer): Buffer[] => {
  const writer = new ItemWriter();
  return range(count).map(() => data(31, item(writer)));
};
/** Arguments that are `bytes` long together, end of the list included, with those that every list here has. */
const lettersOf = (bytes: number): string[] => {
  const left = bytes - pullArguments([], 31, ['bounds/few/']).length;
  return [53, 53, 53, 53, left - 4 * 53].map((size) => '-'.padEnd(size - 1, 'v'));
};

/** What reaches `count` of each bound, and nothing else. */
const REACHES: Readonly<Record<Name, (count: number) => Request>> = {
  args: (count) => ({ options: Array<string>(count - 5).fill('-v') }),
  argBytes: (count) => ({ paths: ['few/'.padEnd(count - 'bounds/'.length, 'x')] }),
  argsTotalBytes: (count) => ({ options: lettersOf(count) }),
  globPatterns: (count) => ({ paths: range(count).map((number) => `few/${number}*`) }),
  globDirents: (count) => ({ paths: [`dirents${count}/none*`] }),
  globResults: (count) => ({ paths: [`results${count}/*`] }),
  filterRules: (count) => ({ filters: rules(count, '- x') }),
  filterBytes: (count) => ({
    filters: [...rules(5, `- ${'x'.repeat(30)}`), filterRecord('- '.padEnd(count - 160, 'y'))],
  }),
  filterRecordBytes: (count) => ({ filters: [filterRecord('- x'.padEnd(count, '\0'))] }),
  filterPatternBytes: (count) => ({ filters: [filterRecord('- '.padEnd(count + 2, 'x'))] }),
  mergeFileBytes: (count) => ({ filters: [filterRecord(`. rules${count}`)] }),
  mergeDepth: (count) => ({ filters: [filterRecord(`. nest${count}`)] }),
  mergeRules: (count) => ({ filters: range(count).map((number) => filterRecord(`: .m${number}`)) }),
  entries: (count) => ({ paths: [`entries${count}/`] }),
  hardLinks: (count) => ({ options: ['-H'], paths: [`links${count}/`] }),
  filesFromNames: (count) => ({
    options: ['--files-from=-', '--from0'],
    paths: [''],
    rest: [data(31, argumentList(range(count).map((number) => `few/${number}`)))],
  }),
  filesFromBytes: (count) => ({ options: ['--files-from', `names${count}`], paths: [''] }),
  sendsPerFile: (count) => ({ rest: items(count, (writer) => writer.item(1, TRANSFER, WHOLE_FILE)) }),
  reportsPerFile: (count) => ({ rest: items(count, (writer) => writer.item(1, 0)) }),
  messagesPerSecond: (count) => ({ rest: [repeat(count, frame(0))] }),
};

/** Bounds of the text phase and of single fields, which break the format instead. */
const TEXT_N = { lineBytes: 100, authLineBytes: 60, earlyInputBytes: 16, xnameBytes: 10, messageBytes: 20 } as const;

/** More than any other test here sends behind an error. */
const DRAIN_BYTES = 20_000;

describe.skipIf(!hasRoot())('a bound', { timeout: 20_000 }, () => {
  let stage: Stage;

  beforeAll(async () => {
    const bounds = Object.entries({ ...N, ...TEXT_N }).map(([name, value]) => [`limits.${name}`, value] as const);
    stage = await openStage({
      globals: {
        ...Object.fromEntries(bounds),
        'limits.drainBytes': DRAIN_BYTES,
        'limits.fileMessages': 3,
        'limits.depth': 3,
        'limits.linkHops': 2,
      },
      process: { args: MONITORED },
      prepare: async (dir) => {
        mkdirSync(join(dir, 'bounds'));
        await makeTree(join(dir, 'bounds'), BOUNDS);
        writeFileSync(join(dir, 'secrets'), 'alice:secret\n', { mode: 0o600 });
      },
      modules: (dir) => [
        { name: 'bounds', path: join(dir, 'bounds') },
        { name: 'locked', path: join(dir, 'pub'), keys: { auth_users: ['alice'], secrets_file: join(dir, 'secrets') } },
      ],
      tree: [
        { name: 'link1', symlink: 'file' },
        { name: 'link2', symlink: 'link1' },
        { name: 'link3', symlink: 'link2' },
      ],
    });
  });
  afterAll(() => stage.close());

  const hits = async (name: LimitName): Promise<number> => (await limitHitsOf(stage.server)).get(name) ?? 0;

  it.each(Object.keys(N) as Name[])('%s lets N - 1 and N pass, refuses N + 1 and counts it', async (name) => {
    const before = await hits(name);
    for (const count of [N[name] - 1, N[name]]) {
      const { line } = await stage.play({ send: session(REACHES[name](count)) });
      expect(line, `at ${count}`).toMatchObject({ outcome: 'ok' });
    }
    expect(await hits(name)).toBe(before);
    const tells = new RegExp(`limit ${name} reached: .*\\n$`);
    await stage.expectVerdict({ send: session(REACHES[name](N[name] + 1)) }, { outcome: `limit:${name}`, tells });
    expect(await hits(name)).toBe(before + 1);
  });

  describe('of the text phase', () => {
    const [least, most] = ['access:unknown-module', 'protocol'];
    /** A line of exactly `length` bytes without its end. */
    const greetingOf = (length: number) => `${'@RSYNCD: 31.0 '.padEnd(length, 'x')}\n`;

    it.each<[string, (count: number) => string, keyof typeof TEXT_N, string]>([
      ['lineBytes, in the greeting,', (count) => `${greetingOf(count)}no\n`, 'lineBytes', most],
      ['lineBytes, in the module line,', (count) => `@RSYNCD: 31.0\n${'n'.repeat(count)}\n`, 'lineBytes', most],
      [
        'earlyInputBytes',
        (count) => `@RSYNCD: 31.0\n#early_input=${count}\n${'\0'.repeat(count)}no\n`,
        'earlyInputBytes',
        'access:command',
      ],
    ])('%s lets N - 1 and N pass, refuses N + 1 and counts it', async (_name, sent, limit, refusal) => {
      const before = await hits(limit);
      const n = TEXT_N[limit];
      for (const [count, outcome] of [
        [n - 1, least],
        [n, least],
        [n + 1, refusal],
      ] as const) {
        await stage.expectVerdict({ send: Buffer.from(sent(count)) }, { outcome: outcome!, tells: /^@ERROR: / });
      }
      expect(await hits(limit)).toBe(before + 1);
    });

    it('authLineBytes lets N - 1 and N pass, refuses N + 1 and counts it', async () => {
      for (const [extra, outcome] of [
        [-1, 'access:auth'],
        [0, 'access:auth'],
        [1, 'protocol'],
      ] as const) {
        const peer = await stage.connect();
        peer.send('@RSYNCD: 31.0 sha512\nlocked\n');
        await peer.untilText('AUTHREQD');
        peer.send(`${'alice '.padEnd(TEXT_N.authLineBytes + extra, 'x')}\n`);
        expect((await stage.finish(peer)).line).toMatchObject({ outcome });
      }
      expect(await hits('authLineBytes')).toBe(1);
    });
  });

  it('xnameBytes lets N - 1 and N pass, refuses N + 1 and counts it', async () => {
    for (const [extra, outcome] of [
      [-1, 'ok'],
      [0, 'ok'],
      [1, 'protocol'],
    ] as const) {
      const length = TEXT_N.xnameBytes + extra;
      const item = new ItemWriter().item(1, 0x1000, Buffer.from([length]), Buffer.alloc(length, 'x'));
      expect((await stage.play({ send: session({ rest: [data(31, item)] }) })).line).toMatchObject({ outcome });
    }
    expect(await hits('xnameBytes')).toBe(1);
  });

  it('messageBytes looks at the length before the code, at N - 1, N and N + 1, and counts', async () => {
    for (const [extra, detail] of [
      [-1, 'unexpected message code 42'],
      [0, 'unexpected message code 42'],
      [1, 'message of 21 bytes'],
    ] as const) {
      const bytes = frame(42, Buffer.alloc(TEXT_N.messageBytes + extra));
      expect((await stage.play({ send: session({ rest: [bytes] }) })).line).toMatchObject({
        outcome: 'protocol',
        detail,
      });
    }
    expect(await hits('messageBytes')).toBe(1);
  });

  it('drainBytes is the most that is read after an error', async () => {
    const after = (count: number) => ({ send: Buffer.from(`@RSYNCD: 31.0\nno\n${'x'.repeat(count)}`), ends: true });
    for (const [extra, expected] of [
      [-1, 0],
      [0, 0],
      [1, 1],
    ] as const) {
      await stage.play(after(DRAIN_BYTES + extra));
      expect(await hits('drainBytes')).toBe(expected);
    }
  });

  it('fileMessages is followed by silence about further files', async () => {
    const missing = (count: number) => session({ paths: range(count).map((number) => `no${number}`) });
    const two = await stage.play({ send: missing(2) });
    expect(two.answer.messages.match(/link_stat/g)).toHaveLength(2);
    expect(await hits('fileMessages')).toBe(0);
    const four = await stage.play({ send: missing(4) });
    expect(four.answer.messages.match(/link_stat/g)).toHaveLength(2);
    expect(four.answer.messages).toMatch(/too many messages, the rest is suppressed\n$/);
    expect(await hits('fileMessages')).toBe(1);
  });

  it('depth lets N - 1 and N pass and reports what lies deeper', async () => {
    const messages = async (path: string) => (await stage.play({ send: session({ paths: [path] }) })).answer.messages;
    expect(await messages('two/')).toBe('');
    expect(await messages('three/')).toBe('');
    expect(await hits('depth')).toBe(0);
    expect(await messages('four/')).toMatch(/four\/2\/3\/4.*File name too long \(36\)\n$/);
    expect(await hits('depth')).toBeGreaterThan(0);
  });

  it('linkHops lets N - 1 and N links pass and ends a longer chain with a message', async () => {
    const follow = (name: string) =>
      Buffer.concat([
        enter('pub'),
        pullArguments(['-L'], 31, [`pub/${name}`]),
        data(31, NO_MORE_FILTERS),
        data(31, allDone()),
      ]);
    expect((await stage.play({ send: follow('link1') })).answer.messages).toBe('');
    expect((await stage.play({ send: follow('link2') })).answer.messages).toBe('');
    expect(await hits('linkHops')).toBe(0);
    expect((await stage.play({ send: follow('link3') })).answer.messages).toMatch(/link3/);
    expect(await hits('linkHops')).toBeGreaterThan(0);
  });

  it('leaves the honest client alone', () => stage.expectHonestPull());

  it('writes one line about each of the sessions above, and no other', () => stage.expectOneLinePerSession());
});
